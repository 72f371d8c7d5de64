"""Is the automatic policy ever slower? A simulation with real sizes and times.

    cells: {1, 10, 100, 1000 MB/s} x {hit, miss} x two projects, each against always and never

The policy that decides is the library's own (`decide`, `Watch`, `Meter`), on a clock that is
moved by hand; what is simulated is the link. `hit`: the backend has the cache. `miss`: it has
none under this key (another toolchain). `stale`: it has one that no longer saves anything, and
the generation's meta says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipelines.caches.errors import OverBudget
from pipelines.caches.metered import Meter
from pipelines.caches.policy import PARALLEL, UNPACK_BYTES, UNPACK_FILES, Offer, decide
from pipelines.caches.settings import Mode
from pipelines.caches.watch import Watch

__all__ = ["BANDWIDTHS", "PROJECTS", "Cell", "Sizes", "cells", "simulate"]

MB = 10**6
BANDWIDTHS = (1 * MB, 10 * MB, 100 * MB, 1000 * MB)
CHUNK = 16 * 1024
HEAD, ENTRY = 600, 60  # bytes of a head, and of a file in a manifest

Luck = Literal["hit", "miss", "stale"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """A project's build cache: bytes packed and written, files, seconds without and with it."""

    name: str
    size: int
    content: int
    files: int
    cold: float
    warm: float

    @property
    def manifest(self) -> int:
        """Bytes of its manifest."""
        return self.files * ENTRY

    @property
    def packs(self) -> int:
        """Requests that its packs take."""
        return -(-self.size // (16 << 20))


# Measured on two cores with Go 1.26.8: `go build` of one target into an empty build cache, again
# with all of it there, and `tar | zstd -3` of the cache. Buildx: reference measurements.
PROJECTS = (
    Sizes("podinfo", 69 * MB, 291 * MB, 3190, 43.3, 0.27),
    Sizes("buildx", 182 * MB, 741 * MB, 9517, 136.0, 2.9),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table, in seconds."""

    project: str
    bandwidth: int
    luck: Luck
    auto: float
    always: float
    never: float

    @property
    def ratio(self) -> float:
        """Compare the policy with the better of the other two."""
        return self.auto / min(self.always, self.never)


def cells(latency: float = 0.01) -> Iterator[Cell]:
    """Simulate every cell."""
    for project in PROJECTS:
        for bandwidth in BANDWIDTHS:
            for luck in ("hit", "miss", "stale"):
                auto, always, never = (
                    simulate(project, bandwidth, latency, luck, mode)
                    for mode in ("auto", "always", "never")
                )
                yield Cell(project.name, bandwidth, luck, auto, always, never)


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(project: Sizes, bandwidth: float, latency: float, luck: Luck, mode: Mode) -> float:
    """Give the wall seconds of a run with a mode."""
    if mode == "never":
        return project.cold
    clock = _Clock()
    meter = Meter(clock)
    _request(clock, meter, HEAD, bandwidth, latency)
    if luck == "miss":
        return clock.now + project.cold
    _request(clock, meter, project.manifest, bandwidth, latency)
    warm = project.cold if luck == "stale" else project.warm
    worth = project.cold - warm
    offer = Offer(project.size, project.content, project.files, project.packs, worth)
    if not decide(mode, offer, meter.link, budget=30).restore:
        return clock.now + project.cold
    watch = Watch(worth, clock, project.size) if mode == "auto" else None
    came = _restore(clock, project, bandwidth, latency, watch)
    return clock.now + (warm if came else project.cold)


def _request(clock: _Clock, meter: Meter, size: int, bandwidth: float, latency: float) -> None:
    began = meter.begin()
    clock.now += latency + size / bandwidth
    meter.end(began, received=size)


def _restore(
    clock: _Clock, project: Sizes, bandwidth: float, latency: float, watch: Watch | None
) -> bool:
    """Move the clock through a restore; tell whether it came to its end."""
    chunks = max(1, project.size // CHUNK)
    unpacking = max(project.content / UNPACK_BYTES, project.files / UNPACK_FILES)
    pace = max(project.size / bandwidth, unpacking) / chunks
    clock.now += latency * -(-project.packs // PARALLEL)
    for number in range(1, chunks + 1):
        clock.now += pace
        try:
            if watch is not None:
                watch(number * project.size // chunks, project.size)
        except OverBudget:
            return False
    return True
