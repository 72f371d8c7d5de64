"""Names that move, and what they stand for: decided here, asked for elsewhere; no I/O.

remote      addresses of git repositories
refs        the refs that one look at a repository showed
web         what to ask of a web server, and what its answer means
pins        `pipelines.lock`: what they stood for, so that the next run resolves the same
"""

__all__: list[str] = []
