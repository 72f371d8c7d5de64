"""Caches that travel: a fresh CI runner starts warm.

    errors       what can be wrong with a cache; every one of them is a miss to whoever builds
    settings     [tool.pipelines.cache] and PIPELINES_CACHE_*
    signals      a CI's variables -> the scopes that a run may read and write
    policy       whether a restore is worth its time; watch gives one up that is not
    volumes      what a cache volume is called; backend, the way to one, for one run
    bringing     a volume found, weighed and restored
    weighing     a restore that is weighed first, and watched meanwhile
    arrivals     bytes of requests that are still under way
    metered      a transport that measures its link; shares, what a command takes of a run
    ledger       what caches cost and saved, for `pipelines cache report`
    transport    where bytes are kept: one protocol
    transports   who speaks it: a directory, a bucket of S3, an OCI registry
    open         from an address to a transport
    names        what objects may be called
    heads        which generation stands under a key, in the scopes that a run may read
    budget       what a run may lose to its caches
    trust        scopes and signatures; memory, so that old heads can not be put back

The package knows neither the engine nor the library: the engine's composition root and the
commands bring them together.
"""

__all__: list[str] = []
