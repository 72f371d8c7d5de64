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


@case("Engine.clients", gives=True)
async def this_session_is_a_client_of_the_engine(given: Given):
    return len(await given.dag.engine().clients()) >= 1


@case(
    "EngineCacheEntrySet.entries", "EngineCacheEntrySet.diskSpaceBytes",
    "EngineCacheEntry.diskSpaceBytes", "EngineCacheEntry.activelyUsed",
    "EngineCacheEntry.createdTimeUnixNano", "EngineCacheEntry.mostRecentUseTimeUnixNano",
    "EngineCacheEntry.description", "EngineCacheEntry.recordType", "EngineCacheEntry.recordTypes",
    "EngineCacheEntry.dagqlCall",
    gives=[True, int, bool, True, True, str, str, list, str],
)  # fmt: skip
async def what_is_kept_is_described(given: Given):
    await given.sh("echo kept").sync()
    found = given.dag.engine().local_cache().entry_set()
    one = (await found.entries())[0]
    return [
        await found.disk_space_bytes() > 0,
        type(await one.disk_space_bytes()),
        type(await one.actively_used()),
        await one.created_time_unix_nano() > 0,
        await one.most_recent_use_time_unix_nano() >= 0,
        type(await one.description()),
        type(await one.record_type()),
        type(await one.record_types()),
        type(await one.dagql_call()),
    ]
