"""A transport in memory, with faults: the other end of every test of travelling caches.

memory = Memory(faults=on("read", Cut(10), name="packs/"))
memory.requests        what was asked, in order
memory.flip("packs/…", bit=77)      damage what is kept
"""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import anyio
import anyio.lowlevel

from pipelines.caches.errors import Conflict, Missing, Unavailable
from pipelines.caches.transport import Head, Item

Operation = Literal["read", "write", "heads", "swap", "list", "delete"]


@dataclass(frozen=True)
class Request:
    """One call; `number` counts all calls from 0."""

    operation: Operation
    name: str
    number: int
    size: int = 0  # bytes that went up or came down


@dataclass(frozen=True)
class Refuse:
    """Raise an error instead of answering."""

    error: type[BaseException] = Unavailable


@dataclass(frozen=True)
class Lose:
    """Do what was asked, then raise: the answer got lost on its way."""

    error: type[BaseException] = Unavailable


@dataclass(frozen=True)
class Hang:
    """Never answer."""


@dataclass(frozen=True)
class Wait:
    """Answer after some seconds."""

    seconds: float


@dataclass(frozen=True)
class Cut:
    """Answer with the first bytes only."""

    size: int


@dataclass(frozen=True)
class Flip:
    """Answer with one bit changed."""

    bit: int


Fault = Refuse | Lose | Hang | Wait | Cut | Flip
Faults = Callable[[Request], "Fault | None"]


def on(operation: str, fault: Fault, *, name: str = "", number: int | None = None) -> Faults:
    """Have a fault at every request of one operation, name prefix or number ("": any)."""

    def wanted(request: Request) -> Fault | None:
        named = request.name.startswith(name) and operation in ("", request.operation)
        return fault if named and number in (None, request.number) else None

    return wanted


def latency(seconds: float) -> Faults:
    """Have every request wait."""
    return lambda _: Wait(seconds)


@dataclass
class Memory:
    """Objects and heads in dictionaries; `now` is the backend's clock."""

    faults: Faults | None = None
    now: float = 1_800_000_000.0
    url: str = "memory:"
    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    named: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closed: bool = False

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        fault, end = await self._begin("read", name)
        if name not in self.objects:
            raise Missing(f"{self.url} has no {name}")
        content = self.objects[name][0]
        content = content[start : None if length is None else start + length]
        content = damaged(content, fault)
        end(len(content))
        return content

    async def write(self, name: str, content: bytes) -> bool:
        fault, end = await self._begin("write", name)
        fresh = name not in self.objects
        if fresh:
            self.objects[name] = (damaged(bytes(content), fault), self.now)
        end(len(content) if fresh else 0)
        return fresh

    async def heads(self, name: str) -> Sequence[Head]:
        fault, end = await self._begin("heads", name)
        found = self.named.get(name)
        end(len(found[0]) if found else 0)
        return [Head(damaged(found[0], fault), str(found[1]))] if found else []

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        _, end = await self._begin("swap", name)
        found = self.named.get(name)
        if [head.version for head in seen] != ([str(found[1])] if found else []):
            raise Conflict(f"{name} was replaced meanwhile")
        self.named[name] = (bytes(content), found[1] + 1 if found else 1)
        end(len(content))

    async def list(self, prefix: str) -> AsyncIterator[Item]:
        _, end = await self._begin("list", prefix)
        held = {name: (len(c), at) for name, (c, at) in self.objects.items()}
        held |= {name: (len(c), self.now) for name, (c, _) in self.named.items()}
        for name, (size, at) in held.items():
            if name.startswith(prefix):
                yield Item(name, size, at)
        end(0)

    async def delete(self, name: str) -> None:
        _, end = await self._begin("delete", name)
        self.objects.pop(name, None)
        self.named.pop(name, None)
        end(0)

    async def aclose(self) -> None:
        self.closed = True

    # What tests do to it, and ask of it.

    def flip(self, name: str, bit: int) -> None:
        """Change a bit of an object that is kept."""
        content, at = self.objects[name]
        self.objects[name] = (damaged(content, Flip(bit)), at)

    def cut(self, name: str, size: int) -> None:
        """Keep only the first bytes of an object."""
        content, at = self.objects[name]
        self.objects[name] = (content[:size], at)

    def copy(self) -> "Memory":
        """Copy what is kept, without faults and without the list of requests."""
        return Memory(None, self.now, self.url, dict(self.objects), dict(self.named))

    def names(self, prefix: str = "") -> Sequence[str]:
        """Name what is kept below a prefix."""
        return sorted(n for n in [*self.objects, *self.named] if n.startswith(prefix))

    def count(self, operation: str, prefix: str = "") -> int:
        """Count the requests of one operation for names with a prefix."""
        return len(self._asked(operation, prefix))

    def moved(self, operation: str, prefix: str = "") -> int:
        """Add up the bytes that requests of one operation moved."""
        return sum(r.size for r in self._asked(operation, prefix))

    def _asked(self, operation: str, prefix: str) -> Sequence[Request]:
        return [r for r in self.requests if r.operation == operation and r.name.startswith(prefix)]

    async def _begin(
        self, operation: Operation, name: str
    ) -> tuple[Fault | None, Callable[[int], None]]:
        request = Request(operation, name, len(self.requests))
        self.requests.append(request)
        await anyio.lowlevel.checkpoint()
        fault = self.faults(request) if self.faults else None
        match fault:
            case Refuse(error):
                raise error(f"{operation} {name}: refused")
            case Hang():
                await anyio.sleep(math.inf)
            case Wait(seconds):
                await anyio.sleep(seconds)

        def end(size: int) -> None:
            self.requests[request.number] = replace(request, size=size)
            if isinstance(fault, Lose):
                raise fault.error("the answer got lost")

        return fault, end


def damaged(content: bytes, fault: Fault | None) -> bytes:
    match fault:
        case Cut(size):
            return content[:size]
        case Flip(bit) if content:
            at = bit // 8 % len(content)
            changed = bytearray(content)
            changed[at] ^= 1 << bit % 8
            return bytes(changed)
    return content
