"""A restore over a link with latency: 30 ms more for each request, and how many there are.

A real Go build cache is saved, then restored from a directory whose every operation waits first.
An operation is one request to S3, so this is what S3 asks; latency is what is injected, all else is
the same in both.
"""

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio

from ci.bench import ecosystems
from ci.bench.inputs import BUILDX, CRANE, Project, fetch
from ci.bench.measure import Sample, alternate
from ci.bench.report import Report, Row
from pipelines.caches.generation import Generation, load
from pipelines.caches.heads import Heads
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from pipelines.caches.transport import Head, Item, Transport
from pipelines.caches.transports.directory import DirectoryTransport

__all__ = ["measure"]

GROUP = "latency"
KEY = "volume/bench/go-build"
LATENCY = 0.030


def measure(report: Report, scratch: Path, *, quick: bool) -> None:
    """Measure find, load and restore of each project's build cache."""
    for project in (CRANE,) if quick else (CRANE, BUILDX):
        _measure(report, project, scratch / GROUP / project.name, 2 if quick else 5)


def _measure(report: Report, project: Project, place: Path, rounds: int) -> None:
    place.mkdir(parents=True)
    cache = place / "cache"
    source = fetch(project, place / "source")
    env = {"GOCACHE": str(cache), "GOMODCACHE": str(place / "modules"), "GOFLAGS": "-mod=mod"}
    command = ("go", "build", "-trimpath", "-o", str(place / "out"), project.command)
    ecosystems.run(*command, into=source, env=env, seconds=1800)
    anyio.run(_save, place / "kept", cache)
    number = 0
    requests = 0

    def restored(seconds: float) -> Sample:
        nonlocal number, requests
        number += 1
        into = place / f"into-{number}"
        into.mkdir()
        begun = time.perf_counter()
        requests = anyio.run(_restore, place / "kept", into, seconds)
        return Sample(time.perf_counter() - begun)

    ways = {"30 ms": lambda: restored(LATENCY), "0 ms": lambda: restored(0.0)}
    report.compare(GROUP, f"{project.name}: restore", alternate(ways, rounds), "≤ 1.3")
    name = f"{project.name}: requests"
    report.add(Row(GROUP, name, requests, "requests", 1, "reach", 10, "≤ 1.0"))


async def _save(kept: Path, cache: Path) -> None:
    transport = DirectoryTransport(str(kept))
    made, _ = await save(transport, None, {"": cache}, kind="build")
    await Heads(transport, ("trusted",), "trusted").publish(KEY, made, _unmerged)


async def _unmerged(digest: str) -> Generation:
    raise AssertionError(f"{digest} was published by nobody")


async def _restore(kept: Path, into: Path, seconds: float) -> int:
    """Restore as a fresh runner does; give how many requests it took."""
    transport = _Delayed(DirectoryTransport(str(kept)), seconds)
    found = await Heads(transport, ("trusted",), None).find(KEY)
    assert found is not None
    await restore(transport, await load(transport, found.generation), "", into)
    return transport.requests


class _Delayed:
    """A transport whose every operation waits first."""

    def __init__(self, inner: Transport, seconds: float) -> None:
        self.requests = 0
        self._inner = inner
        self._seconds = seconds

    @property
    def url(self) -> str:
        return self._inner.url

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        await self._wait()
        return await self._inner.read(name, start, length)

    async def write(self, name: str, content: bytes) -> bool:
        await self._wait()
        return await self._inner.write(name, content)

    async def heads(self, name: str) -> Sequence[Head]:
        await self._wait()
        return await self._inner.heads(name)

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        await self._wait()
        await self._inner.swap(name, content, seen)

    async def list(self, prefix: str) -> AsyncIterator[Item]:
        await self._wait()
        async for item in self._inner.list(prefix):
            yield item

    async def delete(self, name: str) -> None:
        await self._wait()
        await self._inner.delete(name)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _wait(self) -> None:
        self.requests += 1
        await anyio.sleep(self._seconds)
