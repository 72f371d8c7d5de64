"""What is asked again, and for how long in all: a cache that has to be begged is not worth it.

    transport faults, 408, 5xx    up to four times, 0.2 s doubling, with jitter
    429, 503 with Retry-After     once more after that time, if it is within what is left
    every other answer            not at all

`SECONDS` bounds what one request waits between its tries; what a run may lose to its caches in
all is the budget's business (`pipelines.caches.budget`).
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

__all__ = ["Attempts", "Patience"]

SECONDS = 10.0
_FIRST = 0.2
_TOO_MANY = 429
_LATER = frozenset({408, 500, 502, 503, 504, 522, 524})


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, how long, and by which clock; tests bring their own."""

    tries: int = 4
    seconds: float = SECONDS
    now: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random


@dataclass(slots=True)
class Attempts:
    """The tries of one request: each `after_…` gives the seconds to wait, None to give up."""

    patience: Patience
    made: int = 1
    waited: float = 0.0
    limited: bool = False
    told: float | None = field(default=None)

    def after_fault(self) -> float | None:
        """Tell how long to wait after a fault of the connection."""
        return self._wait(self._backoff())

    def after_status(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Tell how long to wait after an answer."""
        if status not in _LATER and status != _TOO_MANY:
            return None
        self.told = _retry_after(headers.get("retry-after"), self.patience.now)
        if status == _TOO_MANY or self.told is not None:
            if self.limited:
                return None
            self.limited = True
        return self._wait(self._backoff() if self.told is None else self.told)

    def _backoff(self) -> float:
        return float(_FIRST * 2 ** (self.made - 1) * (0.5 + self.patience.jitter() / 2))

    def _wait(self, seconds: float) -> float | None:
        if self.made >= self.patience.tries or self.waited + seconds > self.patience.seconds:
            return None
        self.made += 1
        self.waited += seconds
        return seconds


def _retry_after(text: str | None, now: Callable[[], float]) -> float | None:
    """Read seconds or a date; None if there is neither."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None
