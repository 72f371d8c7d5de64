"""Caches that travel on the Dagger engine: seeded and saved from the client, by public API only.

Theory of operation
    Dagger's engine has no protocol for its caches, so all is done by queries that any client may
    send. The SDK asks for the id of a cache volume (`cacheVolume(key) {id}`) before it mounts it:
    there the volume is seeded (`cacheVolume(key, source)`), and there alone, so volumes of
    stages, of toolchains and of user code that calls `dag.cache_volume` itself all travel.

    A volume with a source is another volume than the one without. The source is what a
    generation holds, imported as an image of one layer: this keeps owners, modes, links and times
    exact, where an import of a directory loses the times of directories and links. Equal
    generations give the same volume again on an engine that has it still.

    At the end an exec lists each volume that was mounted; what the base has not is copied to a
    directory, exported, packed and published here (`caches.listing`). The exec runs on the root
    filesystem of the container that mounted the volume, without its mounts, secrets, services and
    environment: the image is there already, and needs `sh`, `find`, `stat`, `cp` and `xargs`.

    wire        requests, as far as they name cache volumes
    asking      the queries that are sent
    standing    what an engine that keeps its volumes has already
    noted       what came of it all
    travelling  what is seeded when, what is saved at the end
    opening     from settings to that; imports nothing heavy until a cache is configured

Results do not travel: Dagger's API tells no cache keys. Nothing here raises to whoever builds: what
does not come is a miss, told once.
"""
