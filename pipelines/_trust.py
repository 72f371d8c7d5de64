"""How far a run believes what is cached, and stages that demand that it does not.

use       cached results answer, and cache volumes are as they are left
verify    everything is made anew, in empty cache volumes, and what comes out is compared with
          what is recorded, here or by other machines; a difference ends the run
off       everything is made anew, in empty cache volumes; nothing is restored or saved
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from pipelines._errors import UsageError

__all__ = ["DEMANDS", "Trust", "demand", "strictest", "trusting"]

Trust = Literal["use", "verify", "off"]

DEMANDS = "__pipelines_cache__"
"""The attribute of a stage that says what it demands."""

_STRICT: tuple[Trust, ...] = ("use", "off", "verify")  # who verifies believes nothing either

_now: ContextVar[Trust | None] = ContextVar("cache", default=None)


def strictest(*given: Trust) -> Trust:
    """Give the one of several that satisfies them all."""
    return max(given, key=_STRICT.index, default="use")


@contextmanager
def trusting(trust: Trust | None) -> Iterator[None]:
    """Say what the connection inside of the block believes; None if nobody knows."""
    token = _now.set(trust)
    try:
        yield
    finally:
        _now.reset(token)


def demand(stage: str, wanted: Trust) -> None:
    """Refuse to run a stage where cached results count that it does not want to believe.

    Raises:
        UsageError: they count, or nobody knows.
    """
    if wanted == "use":
        return
    now = _now.get()
    if now is None:
        raise UsageError(
            f"stage {stage} demands cache={wanted!r}, which only the embedded engine can promise; "
            "connect with engine='embedded'"
        )
    if strictest(now, wanted) != now:
        raise UsageError(
            f"stage {stage} demands cache={wanted!r}, and this run has cache={now!r}; run it by "
            f"`pipelines run --cache {wanted}`, or connect(cache={wanted!r})"
        )
