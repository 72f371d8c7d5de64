"""What the engine keeps, as it tells it."""

from tests.parity.case import Given, case

E = "EngineCache."


@case("Query.engine", "Engine.name", gives=True)
async def an_engine_has_a_name(given: Given):
    return len(await given.dag.engine().name()) > 0


@case("Engine.localCache", E + "entrySet", "EngineCacheEntrySet.entryCount", gives=True)
async def what_is_kept_is_counted(given: Given):
    await given.sh("echo kept").sync()
    return await given.dag.engine().local_cache().entry_set().entry_count() > 0


@case("Engine.localCache", E + "maxUsedSpace", E + "minFreeSpace", E + "reservedSpace",
      E + "targetSpace", gives=[True, True, True, True])  # fmt: skip
async def the_policy_is_told(given: Given):
    cache = given.dag.engine().local_cache()
    return [
        await cache.max_used_space() >= 0,
        await cache.min_free_space() >= 0,
        await cache.reserved_space() >= 0,
        await cache.target_space() >= 0,
    ]
