"""The policy with real caches over a throttled backend, against always and never.

    {1, 10, 100, 1000 MB/s} x {hit, miss} x {podinfo, buildx}

A project is built with an empty build cache, which is saved; then, a cell after the other, a fresh
build cache is restored as the policy says and the project is built with it. `never` is the cold
build, which no bandwidth changes: it is measured once a project. On a miss the backend has
nothing under the key; what auto adds to the cold build then is what it asked.
"""

import os
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from ci.bench.inputs import BUILDX, PODINFO, Project, fetch
from ci.bench.measure import BenchError, run
from ci.bench.report import Report, Row
from pipelines.caches.arrivals import arrived, listening
from pipelines.caches.generation import Generation, load
from pipelines.caches.heads import Heads
from pipelines.caches.metered import Metered
from pipelines.caches.policy import learn
from pipelines.caches.saving import save
from pipelines.caches.settings import Mode
from pipelines.caches.transport import Head, Item, Transport
from pipelines.caches.transports.directory import DirectoryTransport
from pipelines.caches.weighing import weighed

__all__ = ["Throttled", "measure"]

MB = 10**6
BANDWIDTHS = (1 * MB, 10 * MB, 100 * MB, 1000 * MB)
LATENCY = 0.01
PIECE = 64 * 1024
REACH = "≤ 1.05 × the better"
KEY = "bench/go-build"


@dataclass(slots=True)
class Throttled:
    """A transport of so many bytes a second, all requests together, and a latency each."""

    inner: Transport
    bandwidth: float
    latency: float = LATENCY
    _free: float = 0.0

    @property
    def url(self) -> str:
        """Where it is."""
        return self.inner.url

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read, at the pace of the link."""
        await anyio.sleep(self.latency)
        with listening(lambda _: None):  # what comes from the disk has not come over the link
            content = await self.inner.read(name, start, length)
        for at in range(0, len(content), PIECE):
            await self._pass(min(PIECE, len(content) - at))
        return content

    async def write(self, name: str, content: bytes) -> bool:
        """Write, at once: what is measured is reading."""
        return await self.inner.write(name, content)

    async def heads(self, name: str) -> Sequence[Head]:
        """Read a head."""
        await anyio.sleep(self.latency)
        return await self.inner.heads(name)

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        """Replace a head."""
        await self.inner.swap(name, content, seen)

    async def list(self, prefix: str) -> AsyncIterator[Item]:
        """List objects."""
        async for item in self.inner.list(prefix):
            yield item

    async def delete(self, name: str) -> None:
        """Delete an object."""
        await self.inner.delete(name)

    async def aclose(self) -> None:
        """Close the transport."""
        await self.inner.aclose()

    async def _pass(self, size: int) -> None:
        """Wait until the link has carried these bytes after all that came before."""
        now = time.monotonic()
        self._free = max(self._free, now) + size / self.bandwidth
        if self._free > now + 0.001:
            await anyio.sleep(self._free - now)
        arrived(size)


def measure(report: Report, scratch: Path, *, quick: bool) -> None:
    """Measure every cell."""
    for project in (PODINFO,) if quick else (PODINFO, BUILDX):
        _Course(report, project, scratch / f"policy-{project.name}").run(quick=quick)


class _Course:
    def __init__(self, report: Report, project: Project, place: Path) -> None:
        place.mkdir(parents=True)
        self.report, self.project, self.place = report, project, place
        self.source = fetch(project, place / "source")
        self.backend = DirectoryTransport(str(place / "backend"))

    def run(self, *, quick: bool) -> None:
        """Fill the backend, then measure the cells."""
        run(["go", "mod", "download"], cwd=self.source)  # modules are there for everybody
        cache = self.place / "cache"
        cold, warm = self._build(cache), self._build(cache)
        anyio.run(self._save, cache, cold, warm)
        for bandwidth in BANDWIDTHS[1:3] if quick else BANDWIDTHS:
            always, _ = self._cell(bandwidth, "always", KEY)
            auto, did = self._cell(bandwidth, "auto", KEY)
            self._row(bandwidth, f"hit, {did}", auto, always, cold)
            auto, did = self._cell(bandwidth, "auto", "bench/other", cold)
            self._row(bandwidth, f"{did}", auto, auto, cold)

    def _row(self, bandwidth: int, what: str, auto: float, always: float, never: float) -> None:
        better = "always" if always < never else "never"
        name = f"{self.project.name}, {bandwidth // MB} MB/s, {what}"
        self.report.add(Row("policy", name, auto, "s", 1, better, min(always, never), REACH))

    def _cell(
        self, bandwidth: int, mode: Mode, key: str, cold: float | None = None
    ) -> tuple[float, str]:
        """Restore as the mode says, then build; `cold` stands for a build with nothing restored."""
        into = self.place / "fresh"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        began = time.perf_counter()
        did = anyio.run(self._restore, bandwidth, mode, key, into)
        asked = time.perf_counter() - began
        return asked + (cold if cold is not None else self._build(into)), did

    async def _restore(self, bandwidth: int, mode: Mode, key: str, into: Path) -> str:
        transport = Metered(Throttled(self.backend, bandwidth))
        found = await Heads(transport, ["trusted"], None).find(key)
        if found is None:
            return "miss"
        generation = await load(transport, found.generation)
        return (await weighed(transport, generation, into, mode=mode)).did

    async def _save(self, cache: Path, cold: float, warm: float) -> None:
        meta = learn(learn({}, cold, restored=False), warm, restored=True)
        made, _ = await save(self.backend, None, {"": cache}, kind="build", meta=meta)

        async def merge(_: str) -> Generation:
            raise BenchError("somebody else writes to the bench's backend")

        await Heads(self.backend, ["trusted"], "trusted").publish(KEY, made, merge)

    def _build(self, cache: Path) -> float:
        env = {**os.environ, "GOCACHE": str(cache), "CGO_ENABLED": "0"}
        env["GOFLAGS"] = "-buildvcs=false -trimpath"
        command = ["go", "build", "-o", str(self.place / "out"), self.project.command]
        return run(command, env=env, cwd=self.source)[0].wall
