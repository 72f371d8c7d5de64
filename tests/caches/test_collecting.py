"""What no head needs is swept, and a saver at work loses nothing."""

import pytest

from pipelines.caches.collecting import DAY, collect
from pipelines.caches.errors import CacheError
from pipelines.caches.generation import Generation, load
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from tests.caches.memory import Memory, Refuse, on
from tests.caches.trees import describe, fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def later(memory: Memory, root, base: Generation | None, files: dict[str, bytes], seconds):
    """Save some seconds after whatever was before."""
    memory.now += seconds
    for old in [*root.glob("*")]:
        old.unlink()
    generation, _ = await save(memory, base, {"": fill(root, files)}, kind="build")
    return generation


async def test_what_was_replaced_long_ago_is_swept_with_its_packs(tmp_path):
    memory, root = Memory(), tmp_path
    one = await later(memory, root, None, {"a": b"1"}, 0)
    two = await later(memory, root, one, {"b": b"2"}, 3 * DAY)
    memory.now += 2 * DAY
    done = await collect(memory, [two.digest])
    assert len(done.removed) == 2
    assert memory.names() == sorted([f"manifests/{two.digest}", *(p.name for p in two.packs)])
    assert (await collect(memory, [two.digest])).removed == ()


async def test_packs_that_a_kept_generation_took_over_stay(tmp_path):
    memory, root = Memory(), tmp_path
    one = await later(memory, root, None, {"a": b"1"}, 0)
    two = await later(memory, root, one, {"a": b"1", "b": b"2"}, 3 * DAY)
    memory.now += 2 * DAY
    await collect(memory, [two.digest])
    assert len(memory.names("packs/")) == 2


async def test_a_saver_at_work_keeps_what_it_builds_on(tmp_path):
    """It restored `one`, which was then replaced; collected; then it saves on `one`."""
    memory, root = Memory(), tmp_path / "work"
    root.mkdir()
    one = await later(memory, root, None, {"a": b"1"}, 0)
    memory.now += 30 * DAY  # the saver restores `one` now
    other = tmp_path / "other"
    other.mkdir()
    two = await later(memory, other, one, {"b": b"2"}, 60)
    memory.now += DAY / 2
    assert (await collect(memory, [two.digest])).removed == ()
    mine = await later(memory, root, one, {"a": b"1", "c": b"3"}, 60)
    memory.now += 5 * DAY
    await collect(memory, [mine.digest])
    into = tmp_path / "to"
    into.mkdir()
    await restore(memory, await load(memory, mine.digest), "", into)
    assert describe(into) == describe(root)


async def test_what_a_saver_wrote_and_no_head_names_yet_stays(tmp_path):
    memory = Memory()
    one = await later(memory, tmp_path, None, {"a": b"1"}, 0)
    assert (await collect(memory, [])).removed == ()
    memory.now += DAY + 1
    assert len((await collect(memory, [])).removed) == 2
    assert one.digest not in str(memory.names())


async def test_packs_of_a_save_that_was_interrupted_are_swept(tmp_path):
    memory = Memory(faults=on("write", Refuse(), name="manifests/"))
    with pytest.raises(CacheError):
        await later(memory, tmp_path, None, {"a": b"1"}, 0)
    memory.faults = None
    memory.now += DAY + 1
    assert len((await collect(memory, [])).removed) == 1


async def test_a_generation_that_can_not_be_read_stops_the_sweep(tmp_path):
    memory = Memory()
    one = await later(memory, tmp_path, None, {"a": b"1"}, 0)
    memory.now += 9 * DAY
    memory.flip(f"manifests/{one.digest}", 99)
    with pytest.raises(CacheError):
        await collect(memory, [one.digest])
    assert len(memory.names("packs/")) == 1


async def test_ages_are_by_the_backends_clock(tmp_path):
    memory = Memory(now=1000.0)  # the backend believes that it is 1970
    await later(memory, tmp_path, None, {"a": b"1"}, 0)
    assert (await collect(memory, [])).removed == ()
    assert memory.names("clocks/") == []


async def test_a_dry_run_removes_nothing_and_missing_packs_are_said(tmp_path):
    memory = Memory()
    one = await later(memory, tmp_path, None, {"a": b"1"}, 0)
    memory.now += 2 * DAY
    assert len((await collect(memory, [], dry=True)).removed) == 2
    await memory.delete(one.packs[0].name)
    assert (await collect(memory, [one.digest])).missing == (one.packs[0].name,)
