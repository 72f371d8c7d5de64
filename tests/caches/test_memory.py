"""The fake transport keeps to the protocol, and its faults are what they say."""

import anyio
import pytest

from pipelines.caches.errors import Conflict, Missing, Unavailable
from pipelines.caches.transport import Transport
from tests.caches.memory import Cut, Flip, Hang, Lose, Memory, Refuse, on

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_it_is_a_transport_that_reads_ranges_of_what_was_written():
    memory: Transport = Memory()
    assert await memory.write("packs/aa", b"0123456789")
    assert not await memory.write("packs/aa", b"0123456789")
    assert await memory.read("packs/aa", 2, 3) == b"234"
    assert [item.size async for item in memory.list("packs/")] == [10]
    with pytest.raises(Missing):
        await memory.read("packs/bb")


async def test_a_head_that_was_replaced_meanwhile_is_a_conflict():
    memory = Memory()
    await memory.swap("heads/a", b"1", [])
    seen = await memory.heads("heads/a")
    await memory.swap("heads/a", b"2", seen)
    with pytest.raises(Conflict):
        await memory.swap("heads/a", b"3", seen)
    assert [h.content for h in await memory.heads("heads/a")] == [b"2"]


async def test_faults_damage_answers_and_leave_what_is_kept():
    memory = Memory()
    await memory.write("packs/aa", b"\0\0")
    memory.faults = on("read", Cut(1))
    assert await memory.read("packs/aa") == b"\0"
    memory.faults = on("read", Flip(9))
    assert await memory.read("packs/aa") == b"\0\2"
    assert memory.objects["packs/aa"][0] == b"\0\0"


async def test_a_lost_answer_comes_after_the_deed_and_a_refusal_before():
    memory = Memory(faults=on("write", Lose(), number=0))
    with pytest.raises(Unavailable):
        await memory.write("packs/aa", b"1")
    memory.faults = on("write", Refuse(), name="packs/b")
    with pytest.raises(Unavailable):
        await memory.write("packs/bb", b"1")
    assert memory.names() == ["packs/aa"]


async def test_a_backend_that_hangs_can_be_left():
    memory = Memory(faults=on("read", Hang()))
    with anyio.move_on_after(0.01) as scope:
        await memory.read("packs/aa")
    assert scope.cancelled_caught
