"""Bytes that arrive, told while a request is still under way.

A transport gives a range whole, and a range may take a minute on a slow link. Whoever must know
sooner listens around the requests; transports say `arrived` with every piece. It reaches the
listener of the task that asked, or of the one that started it, through a context variable.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["arrived", "listening"]

_listener: ContextVar[Callable[[int], None] | None] = ContextVar("listener", default=None)


def arrived(count: int) -> None:
    """Tell that so many bytes of some request have come."""
    if (listener := _listener.get()) is not None:
        listener(count)


@contextmanager
def listening(listener: Callable[[int], None]) -> Iterator[None]:
    """Hear of all bytes of requests that are made in the block; `listener` must not raise."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
