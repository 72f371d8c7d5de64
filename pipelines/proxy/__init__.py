"""A pull-through cache for Go modules: each byte is fetched once, an outage upstream stops nobody.

protocol    paths of the module proxy protocol: what a request is for, what never changes
sums        the h1: hashes of go.sum, of files and of module zips
upstream    GOPROXY as this machine has it: a chain of servers, asked in turn
shelf       files on disk, verified, bounded, the least recently used go first
pull        one fetch a file however many ask, verified before anybody gets it
server      HTTP on loopback
command     the program that `pipelines proxy` and `pipelines run --proxy` start
"""

__all__: list[str] = []
