"""The store as a client looks after it."""

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


def ran(dag):
    box = dag.container().from_("busybox").with_mounted_cache("/c", dag.cache_volume("k"))
    return box.with_exec(["sh", "-c", "head -c 100000 /dev/zero > /f; echo > /c/g"])


async def counted(dag):
    entries = dag.engine().local_cache().entry_set()
    return await entries.entry_count(), await entries.disk_space_bytes()


async def test_the_store_tells_what_it_holds(dag):
    before = await counted(dag)
    await ran(dag).sync()
    after = await counted(dag)
    assert after[0] >= before[0] + 2
    assert after[1] >= before[1] + 100_000
    entries = await dag.engine().local_cache().entry_set().entries()
    kinds = {await entry.record_type(): await entry.actively_used() for entry in entries}
    assert kinds["exec.cachemount"]
    assert kinds["regular"]


async def test_a_prune_first_thing_takes_everything_at_once(session):
    async with session() as (dag, _):
        await ran(dag).sync()
    async with session() as (dag, heard):
        await dag.engine().local_cache().prune()
        assert (await counted(dag))[0] == 0
        await ran(dag).sync()
    assert len(heard.ran) == 1


async def test_a_prune_after_work_takes_the_rest_when_the_session_ends(session):
    async with session() as (dag, heard):
        kept = ran(dag)
        await kept.sync()
        await dag.engine().local_cache().prune()
        # What this session found is still there.
        assert await kept.with_exec(["wc", "-c", "/f"]).stdout() == "100000 /f\n"
    async with session() as (dag, heard):
        assert (await counted(dag))[0] == 0
        await ran(dag).sync()
    assert len(heard.ran) == 1
