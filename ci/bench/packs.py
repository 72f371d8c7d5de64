"""Travelling caches against `tar | zstd -T2`, which is what a CI cache step does.

Real caches: two Go build caches (crane, buildx) and their modules, and what the clients of other
ecosystems leave. Each is saved into a directory transport and restored, exactly or it counts
as failed. What is written stays until the end: ext4 makes files in a directory slowly for
seconds after others were removed, and whoever is measured next would pay.
"""

import os
import stat
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from ci.bench import ecosystems
from ci.bench.inputs import BUILDX, CRANE, Project, fetch
from ci.bench.measure import BenchError, Sample, Series, alternate
from ci.bench.report import Report, Row
from pipelines.caches.generation import Generation, load
from pipelines.caches.habits import HABITS
from pipelines.caches.policy import NEAR, Link, level
from pipelines.caches.restoring import restore
from pipelines.caches.saving import Saved, save
from pipelines.caches.seen import Seen
from pipelines.caches.transports.directory import DirectoryTransport

__all__ = ["measure"]

# Releases before: 27 commits of go-containerregistry, and a minor version of buildx.
BEFORE = {"crane": "v0.21.7", "buildx": "v0.35.0"}
GROUP = "packs"
DROPPED = frozenset(path for habit in HABITS.values() for path in habit.dropped)
LEVEL = level(Link(bandwidth=NEAR))  # a session's choice where the backend is a directory


def measure(report: Report, scratch: Path, *, quick: bool) -> None:
    """Measure Go's caches with their deltas, then the round trips of every ecosystem."""
    place = scratch / GROUP
    place.mkdir(parents=True)
    rounds = 2 if quick else 5
    for project in (CRANE,) if quick else (CRANE, BUILDX):
        _Go(report, project, place / project.name, rounds).run()
    exact = 2  # Go's build cache and its modules
    for name, found in ecosystems.made(place / "ecosystems"):
        if isinstance(found, str):
            report.skip(f"{GROUP} {name}", found.splitlines()[-1])
            continue
        _Cache(report, name, found, place / "trips" / name.replace(" ", "-"), rounds).run()
        exact += 1
    report.add(Row(GROUP, "round trips exact", exact, "caches", 1, "reach", 8, "= 8"))


class _Cache:
    """One directory: ours and tar's ways out and back, in turns."""

    def __init__(self, report: Report, name: str, root: Path, place: Path, rounds: int) -> None:
        self.report = report
        self.name = name
        self.root = root
        self.place = place
        self.rounds = rounds
        self.number = 0
        place.mkdir(parents=True)

    def run(self) -> None:
        """Compare saves and restores, then hold that what came back is the same."""
        names = ("pipelines", "tar")
        saves: dict[str, Series] = alternate(
            {"pipelines": self._save, "tar": self._pack}, self.rounds
        )
        backs = alternate({"pipelines": self._restore, "tar": self._unpack}, self.rounds)
        size = sum(f.stat().st_size for f in (self.place / "0").rglob("*") if f.is_file())
        both = {n: Series([_plus(*pair) for pair in _pairs(saves[n], backs[n])]) for n in names}
        self.report.compare(GROUP, f"{self.name}: save and restore", both, "≤ 1.0")
        self.report.compare(GROUP, f"{self.name}: restore", backs, "< 1.0")
        tar = self.tarball
        self.report.add(Row(GROUP, f"{self.name}: kept", size / 1e6, "MB", 1, "tar", tar / 1e6))
        if (fault := difference(self.root, self.back)) is not None:
            raise BenchError(f"{self.name}: {fault}")

    @property
    def tarball(self) -> int:
        """Say how large the tarball is, in bytes."""
        return (self.place / "tar.zst").stat().st_size

    def _fresh(self, name: str) -> Path:
        self.number += 1
        path = self.place / f"{name}-{self.number}"
        path.mkdir()
        return path

    def _save(self) -> Sample:
        self.kept = self.place / str(len([*self.place.glob("[0-9]*")]))
        begun = time.perf_counter()
        self.digest = anyio.run(self._saved).digest
        return Sample(time.perf_counter() - begun)

    async def _saved(self) -> Generation:
        transport = DirectoryTransport(str(self.kept))
        generation, saved = await save(
            transport, None, {"": self.root}, kind="download", level=LEVEL
        )
        odd = [what for what in saved.skipped if what[1] != "the tool makes it anew"]
        if odd:
            raise BenchError(f"{self.name}: not saved: {odd[:3]}")
        return generation

    def _pack(self) -> Sample:
        return _shell("tar -cf - -C $FROM . | zstd -q -T2 -f -o $TAR", self.root, self.place)

    def _restore(self) -> Sample:
        into = self.back = self._fresh("back-pipelines")
        begun = time.perf_counter()
        anyio.run(self._restored, into)
        return Sample(time.perf_counter() - begun)

    async def _restored(self, into: Path) -> None:
        transport = DirectoryTransport(str(self.kept))
        back = await restore(transport, await load(transport, self.digest), "", into)
        if back.requests > 9:
            raise BenchError(f"{self.name}: {back.requests + 1} requests")

    def _unpack(self) -> Sample:
        into = self._fresh("back-tar")
        return _shell("zstd -q -d -c $TAR | tar -xf - -C $INTO", self.root, self.place, into)


class _Go:
    """Go's caches of a project: round trips, and what is uploaded after changes."""

    def __init__(self, report: Report, project: Project, place: Path, rounds: int) -> None:
        self.report = report
        self.project = project
        self.place = place
        self.rounds = rounds
        self.modules = place / "modules"
        self.source = fetch(project, place / "source")

    def run(self) -> None:
        """Build cold, compare, then edit and see what goes up."""
        name, cold = self.project.name, self.place / "cold"
        self._build(self.source, cold)
        _Cache(self.report, f"{name} modules", self.modules, self.place / "m", self.rounds).run()
        cache = _Cache(self.report, f"{name} GOCACHE", cold, self.place / "b", self.rounds)
        cache.run()
        self._edited(cache.tarball)
        self._released(cache.tarball)

    def _edited(self, tarball: int) -> None:
        """Count what a save sends after one file was edited."""

        def edit() -> Path:
            file = self.source / self.project.leaves[-1]
            file.write_text(f"{file.read_text()}\n// {uuid.uuid4().hex}\nvar _ = 1\n")
            return self.source

        saved = anyio.run(self._delta, self.place / "cold", edit)
        name = f"{self.project.name}: upload after a one-file edit"
        self._percent(name, saved, tarball, "≤ 2 %")

    def _released(self, tarball: int) -> None:
        """Count what a save sends from one release to a later one."""
        old = BEFORE[self.project.name]
        before = Project(self.project.name, self.project.module, old, self.project.command, ())
        first = self.place / "before"
        self._build(fetch(before, self.place / "old"), first)
        saved = anyio.run(self._delta, first, lambda: self.source)
        name = f"{self.project.name}: upload from {old} to {self.project.version}"
        self._percent(name, saved, tarball, "≤ 10 %")

    def _percent(self, name: str, saved: Saved, tarball: int, reach: str) -> None:
        share = saved.bytes / tarball * 100
        self.report.add(Row(GROUP, name, share, "%", 1, "tarball", 100, reach))
        name = name.replace("upload", "save")
        self.report.add(Row(GROUP, name, saved.seconds, "s", 1))

    async def _delta(self, cache: Path, change: Callable[[], Path]) -> Saved:
        """Save a cache, restore it elsewhere as a fresh runner does, build there, and save."""
        transport = DirectoryTransport(str(self.place / f"delta-{cache.name}"))
        base, _ = await save(transport, None, {"": cache}, kind="build", level=LEVEL)
        into = self.place / f"{cache.name}-runner"
        into.mkdir()
        back = await restore(transport, base, "", into, aging=True)
        seen: Seen = back.seen
        source = change()
        await anyio.to_thread.run_sync(self._build, source, into)
        _, saved = await save(
            transport, base, {"": into}, kind="build", seen={"": seen}, level=LEVEL
        )
        return saved

    def _build(self, source: Path, cache: Path) -> None:
        env = {"GOCACHE": str(cache), "GOMODCACHE": str(self.modules), "GOFLAGS": "-mod=mod"}
        out = str(self.place / "out")
        command = ("go", "build", "-trimpath", "-o", out, self.project.command)
        ecosystems.run(*command, into=source, env=env, seconds=1800)


def difference(one: Path, other: Path) -> str | None:
    """Name the first path that two trees have differently; None: they are the same."""
    left, right = _facts(one), _facts(other)
    for path in sorted(left.keys() | right.keys()):
        if left.get(path) != right.get(path) and path not in DROPPED:
            return f"{path!r} is {left.get(path)} and came back as {right.get(path)}"
    same = ["diff", "-rq", "--no-dereference"]
    for name in sorted({os.path.basename(os.fsdecode(path)) for path in DROPPED}):
        same += ["-x", name]
    found = subprocess.run(
        [*same, str(one), str(other)], capture_output=True, text=True, check=False
    )
    return found.stdout[:200] or None


def _facts(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Say kind, mode, time, size, target and first name of everything in a tree.

    Names of a file that are outside of the tree (pnpm's store and its projects) are not its own.
    """
    top = os.fsencode(root)
    found: dict[bytes, tuple[object, ...]] = {}
    firsts: dict[int, bytes] = {}
    for directory, below, names in os.walk(top):
        below.sort()
        for name in sorted([*below, *names]):
            full = os.path.join(directory, name)
            path, status = os.path.relpath(full, top), os.lstat(full)
            link = os.readlink(full) if stat.S_ISLNK(status.st_mode) else b""
            size, first = 0, path
            if stat.S_ISREG(status.st_mode):
                size, first = status.st_size, firsts.setdefault(status.st_ino, path)
            found[path] = (status.st_mode, status.st_mtime_ns, size, first, link)
    return found


def _shell(command: str, root: Path, place: Path, into: Path | None = None) -> Sample:
    env = {**os.environ, "FROM": str(root), "TAR": str(place / "tar.zst"), "INTO": str(into)}
    begun = time.perf_counter()
    subprocess.run(["bash", "-o", "pipefail", "-c", command], env=env, check=True)
    return Sample(time.perf_counter() - begun)


def _plus(one: Sample, other: Sample) -> Sample:
    return Sample(one.wall + other.wall)


def _pairs(one: Series, other: Series) -> list[tuple[Sample, Sample]]:
    return [*zip(one.samples, other.samples, strict=True)]
