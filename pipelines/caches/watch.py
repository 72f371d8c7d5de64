"""Giving up a restore that is projected to lose.

What was spent on it is spent either way, so the question at every moment is whether the rest takes
longer than the work that it saves. It is first asked after `PATIENCE` of that work: a lost
restore then costs a few percent of it, and until then a slow link can not be told from a slow
start. The faster of the mean and the latest rate counts, for links speed up.

What is judged is the link. The clock starts with the requests (news of nothing, `watch(0, total)`):
what comes before is work of this machine, which may be busy with what is built meanwhile.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from pipelines.caches.arrivals import listening
from pipelines.caches.errors import OverBudget

__all__ = ["Watch", "watched"]

T = TypeVar("T")

PATIENCE = 0.03
SOONEST, LATEST = 0.5, 5.0  # bounds of the patience, in seconds
FIRST = 2.0  # seconds for the first byte, on a machine that has other work
WINDOWS = 3  # of the latest rate, in a patience


class Watch:
    """Judges a restore of `total` bytes that is worth so many seconds, by what has come."""

    def __init__(self, worth: float, clock: Callable[[], float], total: int = 0) -> None:
        self._worth = worth
        self._clock = clock
        self._began = clock()
        self._patience = min(max(worth * PATIENCE, SOONEST), LATEST)
        self._done = self._arrived = 0
        self._total = total
        self._heard = self._began
        self._asked = False
        self._mark = (self._began, 0)
        self._latest = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Take the news of a restore, and judge it.

        Raises:
            OverBudget: it is projected to lose.
        """
        self._done, self._total, self._asked = max(done, self._done), total, True
        if not done:
            self._began = self._clock()
            self._mark = (self._began, self._come)
        self._note()
        if reason := self.overdue():
            raise OverBudget(reason)

    def arrived(self, count: int) -> None:
        """Take the news of a request that is under way."""
        self._arrived += count
        self._asked = True
        self._note()

    def overdue(self) -> str:
        """Say why the restore should be given up; empty if it should not. Needs no news."""
        now, come = self._clock(), self._come
        elapsed, silent = now - self._began, now - self._heard
        if not self._asked or elapsed < self._patience or (self._total and come >= self._total):
            return ""
        so_far = f"{come} of {self._total} bytes came in {elapsed:.1f} s"
        bound = self._worth if come else min(self._worth, FIRST)
        if silent > max(bound, self._patience):
            return f"{so_far}, none for {silent:.1f} s; the work takes {self._worth:.1f} s"
        if not (self._total and come):
            return ""
        left = (self._total - come) / max(come / elapsed, self._latest)
        if left <= self._worth:
            return ""
        return f"{so_far}, the rest would take {left:.1f} s; the work takes {self._worth:.1f} s"

    @property
    def _come(self) -> int:
        return max(self._done, self._arrived)

    def _note(self) -> None:
        now, come = self._clock(), self._come
        at, before = self._mark
        self._heard = now
        if now - at >= self._patience / WINDOWS:
            self._latest = (come - before) / (now - at)
            self._mark = (now, come)


async def watched(watch: Watch, restore: Callable[[Watch], Awaitable[T]], every: float = 0.1) -> T:
    """Run a restore that tells the watch its progress; cancel it when it is overdue.

    Bytes of requests that are under way count too (`arrivals`).

    Raises:
        OverBudget: it is projected to lose, or nothing comes.
    """
    reason, failure, results = "", None, []

    async def look(scope: anyio.CancelScope) -> None:
        nonlocal reason
        while True:
            await anyio.sleep(every)
            if reason := watch.overdue():
                return scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(look, group.cancel_scope)
        try:
            with listening(watch.arrived):
                results.append(await restore(watch))
        except Exception as exc:  # noqa: BLE001 - raised below, out of the group
            failure = exc
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not results:
        raise OverBudget(reason)
    return results[0]
