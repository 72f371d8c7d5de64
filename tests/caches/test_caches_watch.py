"""Giving up restores: early, for a reason, and never one that wins."""

import anyio
import pytest

from pipelines.caches.arrivals import arrived
from pipelines.caches.errors import Damaged, OverBudget
from pipelines.caches.watch import Watch, watched

pytestmark = pytest.mark.anyio
MB = 10**6


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def played(worth, total, rate, step=0.01):
    """Restore at `rate(seconds)`; give the seconds it took, and whether it was given up."""
    clock, done = Clock(), 0.0
    watch = Watch(worth, clock)
    while done < total:
        clock.now += step
        done = min(total, done + rate(clock.now) * step)
        try:
            watch(int(done), total)
        except OverBudget:
            return clock.now, True
    return clock.now, False


def test_a_restore_that_wins_ends():
    assert played(100.0, 100 * MB, lambda _: 10 * MB) == (pytest.approx(10.0), False)


@pytest.mark.parametrize("worth", [10.0, 100.0])
def test_a_restore_that_loses_is_given_up_after_a_few_percent_of_the_work(worth):
    took, given_up = played(worth, 1000 * MB, lambda _: 1 * MB)
    assert given_up
    assert took <= 0.05 * worth + 0.011


def test_a_slow_start_is_forgiven():
    took, given_up = played(100.0, 500 * MB, lambda at: MB if at < 2 else 50 * MB)
    assert not given_up
    assert took < 15


def test_a_link_that_gets_slow_is_given_up():
    took, given_up = played(100.0, 1000 * MB, lambda at: 20 * MB if at < 10 else 10_000)
    assert given_up
    assert took < 100


def test_the_end_of_a_restore_is_never_given_up():
    clock = Clock()
    watch = Watch(1.0, clock)
    clock.now = 500.0
    watch(100, 100)
    assert not watch.overdue()


def test_silence_is_judged_without_news():
    clock = Clock()
    watch = Watch(10.0, clock)
    watch(0, 5)
    assert not watch.overdue()
    clock.now = 2.1
    assert "0 of 5 bytes" in watch.overdue()


def test_what_is_done_before_the_requests_is_not_the_links_fault():
    clock = Clock()
    watch = Watch(10.0, clock)
    clock.now = 60.0
    assert not watch.overdue()
    watch(0, 100)
    clock.now = 61.0
    watch.arrived(20)
    assert not watch.overdue()


def test_a_stall_is_given_up():
    clock = Clock()
    watch = Watch(5.0, clock)
    for _ in range(10):
        clock.now += 0.1
        watch(int(clock.now * 50 * MB), 60 * MB)
    clock.now += 5.5
    assert "none for 5.5 s" in watch.overdue()


def test_bytes_of_a_request_under_way_count():
    clock = Clock()
    watch = Watch(10.0, clock, total=100 * MB)
    for _ in range(100):
        clock.now += 0.01
        watch.arrived(MB // 5)
    assert not watch.overdue()
    slow = Watch(10.0, clock, total=100 * MB)
    for _ in range(100):
        clock.now += 0.01
        slow.arrived(MB // 100)
    assert "the rest would take 99.0 s" in slow.overdue()


async def test_a_transport_tells_the_watch_of_what_arrives():
    clock = Clock()
    watch = Watch(1.0, clock, total=2)

    async def request():
        arrived(2)

    async def restore(_):
        async with anyio.create_task_group() as group:
            group.start_soon(request)
        clock.now = 100.0
        return watch.overdue()

    assert await watched(watch, restore) == ""
    arrived(5)  # nobody listens: nothing happens


async def test_a_restore_that_ends_gives_its_result():
    async def restore(watch):
        watch(1, 1)
        return "restored"

    assert await watched(Watch(10.0, Clock()), restore) == "restored"


async def test_a_restore_that_hangs_is_cancelled():
    clock = Clock()

    async def restore(watch):
        watch(0, 9)
        clock.now = 60.0
        await anyio.sleep_forever()

    with anyio.fail_after(10), pytest.raises(OverBudget, match="0 of 9 bytes"):
        await watched(Watch(1.0, clock), restore, every=0.001)


@pytest.mark.parametrize("error", [Damaged, OverBudget])
async def test_what_a_restore_raises_comes_out_as_it_is(error):
    async def restore(_):
        raise error("why")

    with pytest.raises(error, match="why"):
        await watched(Watch(10.0, Clock()), restore)
