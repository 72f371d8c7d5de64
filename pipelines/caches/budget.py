"""What a run may lose to its caches: wall time that gave nothing, and how often that is borne.

    made = await budget.bounded("restoring a volume", lambda: restore(…))

Work that succeeds costs nothing here: whether it was worth its time is the policy's business. The
time of work that fails, or does not end, is charged, once where several overlap; when nothing is
left, or `failures` in a row were borne, every further work fails at once. So a backend
that hangs costs a run `seconds` in all, and one that refuses costs a few requests.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from pipelines.caches.errors import CacheError, Missing, OverBudget

__all__ = ["Budget", "Spent"]

T = TypeVar("T")

FAILURES = 3


class Spent(OverBudget):
    """What may be lost is lost; what a single restore gave up by itself is another `OverBudget`."""


class Budget:
    """Wall time that may be lost; one for a run, safe for concurrent tasks."""

    def __init__(
        self,
        seconds: float,
        *,
        failures: int = FAILURES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self.lost = 0.0
        self._failures = failures
        self._clock = clock
        self._in_a_row = 0
        self._last = ""
        self._charged = clock()

    @property
    def left(self) -> float:
        """Seconds that may still be lost."""
        return max(0.0, self.seconds - self.lost)

    async def bounded(self, what: str, work: Callable[[], Awaitable[T]], worth: float = 0.0) -> T:
        """Do work within what is left, or within what it is worth if that is more.

        Raises:
            Spent: it took longer, or nothing is left to lose.
        """
        self._check(what)
        began, limit = self._clock(), max(self.left, worth)
        try:
            with anyio.fail_after(limit):
                result = await work()
        except (Missing, OverBudget):
            self._charge(began)  # an answer, if a useless one; or given up by who knows better
            raise
        except CacheError as exc:
            self._charge(began)
            self._fail(str(exc))
            raise
        except TimeoutError as exc:
            self._charge(began)
            self._fail(f"{what} took longer than {limit:.1f} s")
            raise Spent(self._last) from exc
        self._in_a_row = 0
        return result

    def _check(self, what: str) -> None:
        if self._in_a_row >= self._failures:
            raise Spent(
                f"{what}: given up after {self._in_a_row} failures in a row; the last: {self._last}"
            )
        if self.left <= 0:
            raise Spent(f"{what}: the budget of {self.seconds:g} s is lost; {self._last}")

    def _charge(self, began: float) -> None:
        now = self._clock()
        self.lost += now - max(began, self._charged)
        self._charged = now

    def _fail(self, text: str) -> None:
        self._in_a_row += 1
        self._last = text
