"""A transport that counts and times what goes over it: what a cache costs, how fast its link is.

Requests fly side by side, so a bandwidth is not that of one of them: bytes are divided by the
time in which any request that moved many was in flight, less one latency for each such spell.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from pipelines.caches.errors import Conflict, Missing
from pipelines.caches.policy import SMALL, Link
from pipelines.caches.transport import Head, Item, Transport

__all__ = ["Meter", "Metered"]

T = TypeVar("T")


class Meter:
    """Measures a link by its requests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.requests = 0
        self.received = 0
        self.sent = 0
        self._clock = clock
        self._latency: float | None = None
        self._flying = 0
        self._began = 0.0
        self._moved = 0  # in the spell that lasts
        self._busy = 0.0
        self._spells = 0
        self._large = 0

    def begin(self) -> float:
        """Note that a request starts; what is given goes to `end`."""
        now = self._clock()
        if not self._flying:
            self._began, self._moved = now, 0
        self._flying += 1
        return now

    def end(self, began: float, *, received: int = 0, sent: int = 0, failed: bool = False) -> None:
        """Note that a request has ended."""
        now, moved = self._clock(), received + sent
        self.requests += 1
        self.received += received
        self.sent += sent
        self._flying -= 1
        if moved >= SMALL:
            self._moved += moved
        elif not failed:
            took = now - began
            self._latency = took if self._latency is None else min(took, self._latency)
        if not self._flying and self._moved:
            self._busy += now - self._began
            self._spells += 1
            self._large += self._moved

    @property
    def link(self) -> Link:
        """What was measured; the default's numbers stand for what was not."""
        latency = Link().latency if self._latency is None else self._latency
        if not self._large:
            return Link(latency)
        # No less than a tenth: on a fast link the latency is most of a short spell.
        moving = max(self._busy - latency * self._spells, self._busy / 10, 1e-6)
        return Link(latency, self._large / moving, self._large)


class Metered:
    """A transport with a meter."""

    def __init__(self, inner: Transport, meter: Meter | None = None) -> None:
        self.meter = meter or Meter()
        self._inner = inner

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return self._inner.url

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an immutable object or a range of it."""
        return await self._timed(self._inner.read(name, start, length), received=len)

    async def write(self, name: str, content: bytes) -> bool:
        """Write an immutable object unless it is there; tell whether bytes were sent."""
        writing = self._inner.write(name, content)
        return await self._timed(writing, sent=lambda written: len(content) if written else 0)

    async def heads(self, name: str) -> Sequence[Head]:
        """Read what stands under a head's name."""
        return await self._timed(self._inner.heads(name), received=_length)

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        """Replace a head that was read as `seen`."""
        await self._timed(self._inner.swap(name, content, seen), sent=lambda _: len(content))

    async def list(self, prefix: str) -> AsyncIterator[Item]:
        """List objects; not timed, for it goes at the pace of whoever reads."""
        self.meter.requests += 1
        async for item in self._inner.list(prefix):
            yield item

    async def delete(self, name: str) -> None:
        """Delete an object."""
        await self._timed(self._inner.delete(name))

    async def aclose(self) -> None:
        """Close connections."""
        await self._inner.aclose()

    async def _timed(
        self,
        request: Awaitable[T],
        received: Callable[[T], int] = lambda _: 0,
        sent: Callable[[T], int] = lambda _: 0,
    ) -> T:
        began = self.meter.begin()
        try:
            result = await request
        except (Missing, Conflict):
            self.meter.end(began)  # answers like any other
            raise
        except BaseException:
            self.meter.end(began, failed=True)
            raise
        self.meter.end(began, received=received(result), sent=sent(result))
        return result


def _length(heads: Sequence[Head]) -> int:
    return sum(len(head.content) for head in heads)
