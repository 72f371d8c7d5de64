"""What a run may lose to its caches."""

import anyio
import pytest

from pipelines.caches.budget import Budget
from pipelines.caches.errors import Missing, OverBudget, Unavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def work(clock, seconds, error=None):
    async def act():
        clock.now += seconds
        if error:
            raise error("no")
        return "made"

    return act


async def test_what_succeeds_costs_nothing():
    clock = Clock()
    budget = Budget(5, clock=clock)
    assert await budget.bounded("it", work(clock, 100)) == "made"
    assert budget.left == 5


async def test_what_fails_is_charged_until_nothing_is_left():
    clock = Clock()
    budget = Budget(5, failures=99, clock=clock)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await budget.bounded("it", work(clock, 3, Unavailable))
    with pytest.raises(OverBudget, match="budget of 5 s is lost"):
        await budget.bounded("it", work(clock, 0))


async def test_failures_in_a_row_are_enough():
    clock = Clock()
    budget = Budget(5, clock=clock)
    for error in (Unavailable, Unavailable, None, Unavailable, Unavailable, Unavailable):
        try:
            await budget.bounded("it", work(clock, 0, error))
        except Unavailable:
            continue
    with pytest.raises(OverBudget, match="3 failures in a row; the last: no"):
        await budget.bounded("it", work(clock, 0))


async def test_a_miss_is_no_failure():
    clock = Clock()
    budget = Budget(5, clock=clock)
    for _ in range(9):
        with pytest.raises(Missing):
            await budget.bounded("it", work(clock, 0, Missing))
    assert await budget.bounded("it", work(clock, 0)) == "made"


async def test_what_hangs_ends_with_the_budget():
    budget = Budget(0.05)
    with pytest.raises(OverBudget, match="took longer"):
        await budget.bounded("it", anyio.sleep_forever)
    with pytest.raises(OverBudget, match="lost"):
        await budget.bounded("it", anyio.sleep_forever)


async def test_what_overlaps_is_charged_once():
    clock = Clock()
    budget = Budget(50, clock=clock)
    both = anyio.Event()

    async def fail():
        await both.wait()
        raise Unavailable("no")

    async def one():
        with pytest.raises(Unavailable):
            await budget.bounded("it", fail)

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        clock.now += 10
        both.set()
    assert budget.lost == 10
