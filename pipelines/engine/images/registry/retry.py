"""What is tried again: faults of the transport, and answers that mean "later".

    transport faults, 408, 499, 5xx, 522    up to five times, 0.5 s doubling to 30 s, full jitter
    429                                     once more after Retry-After; without it, twice
    a resolver that does not answer         twice
    a name that does not resolve            not at all; nor does a refusing loopback host
    certificates, every other answer        not at all

All that one request waits for is less than `BUDGET`: a Retry-After beyond it is told to the
user, who can do more about it than waiting. Sources: go-containerregistry's and BuildKit's
tables of temporary errors; RFC 9110, 10.2.3.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from pipelines.engine.images.registry.transport import TransportFault

__all__ = ["BUDGET", "Attempts", "Patience", "is_temporary"]

BUDGET = 90.0
_FIRST, _CAP = 0.5, 30.0
_TOO_MANY = 429
_RESOLVER = 2
_AWAY = frozenset({"resolver", "refused", "timeout"})
_LATER = frozenset({408, 499, 500, 502, 503, 504, 521, 522, 523, 524})


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and with which clock; tests bring their own.

    `quick` takes a registry that is not there at its word; one that is there gets all its tries.
    """

    tries: int = 5
    quick: bool = False
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random


@dataclass(slots=True)
class Attempts:
    """The attempts of one request; each `again_…` has waited when it gives True."""

    patience: Patience
    made: int = 1
    limited: int = 0
    waited: float = field(default=0.0)

    def again_after_fault(self, fault: TransportFault, *, loopback: bool) -> bool:
        """Wait and give True if a fault may pass."""
        if fault.fault in {"name", "certificate", "tls"}:
            return False
        if fault.fault in _AWAY and (
            self.patience.quick or (fault.fault == "refused" and loopback)
        ):
            return False
        if fault.fault == "resolver" and self.made > _RESOLVER:
            return False
        return self._wait(self._backoff())

    def again_after_status(self, status: int, headers: Mapping[str, str]) -> bool:
        """Wait and give True if an answer means "later"."""
        if status not in _LATER and status != _TOO_MANY:
            return False
        told = _retry_after(headers.get("retry-after"), self.patience.now)
        if status == _TOO_MANY:
            self.limited += 1
            if self.limited > (1 if told is not None else 2):
                return False
        return self._wait(self._backoff() if told is None else told)

    def progressed(self) -> None:
        """Count from the beginning again: something did come through."""
        self.made = 1

    def _backoff(self) -> float:
        ceiling = min(_CAP, _FIRST * 2 ** (self.made - 1))
        return float(ceiling * (0.5 + self.patience.jitter() / 2))

    def _wait(self, seconds: float) -> bool:
        if self.made >= self.patience.tries or self.waited + seconds > BUDGET:
            return False
        self.made += 1
        self.waited += seconds
        if seconds > 0:
            self.patience.sleep(seconds)
        return True


def is_temporary(status: int) -> bool:
    """Tell whether an answer means "later"."""
    return status in _LATER or status == _TOO_MANY


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
