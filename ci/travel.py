"""Two machines that share a backend, against the tarball way: `python -m ci.travel`.

    [--project …] [--backend …] [--rounds N] [--json FILE] [--keep DIR]

A machine is a store of its own and a checkout of its own. The first runs the pipeline cold. Then,
in rounds, fresh machines run it on each backend, unchanged and with an edited file, and the tarball
way, who begins changing with the round; the medians are shown. The tarball way is what
`actions/cache` does: GOMODCACHE and GOCACHE as one tar, zstd, restored before the run. Bytes are
those of our ledger, and the length of the tarball. What is sent is told in two parts: volumes are
what the tarball has too; results (executables, layers, records) are what it has not.

The cold machine saves into a directory; every backend gets a copy of it in every round, object by
object, so that what one has of an edit no other has. Nothing is removed before the end: ext4 makes
files slowly for seconds after others went, and whoever comes next would pay.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import anyio

from ci.bench.inputs import CRANE, checkout, fetch, go_version
from ci.bench.measure import BenchError
from pipelines.caches.heads import standing
from pipelines.caches.ledger import Ledger
from pipelines.caches.open import open_transport

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = ROOT / "ci" / "bench" / "pipeline" / "ci.py"
KINDS = ("directory", "s3", "oci")
TARBALL = "tarball"
RECEIVED, SENT = ("restored", "hit"), ("saved",)


@dataclass(frozen=True)
class Subject:
    """A project: where its pipeline is, its stage with flags, and the file that is edited."""

    name: str
    source: Path
    command: tuple[str, ...]
    edited: str


@dataclass(frozen=True)
class Backend:
    """An address, and the environment that opens it."""

    kind: str
    url: str
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """One run: seconds of wall clock and of CPU, bytes fetched and sent, commands that ran.

    Of the wall clock, `saving` seconds were saves at the end (of several, the sum), and `restoring`
    the tarball's way in (our restores are while commands run).
    """

    project: str
    backend: str
    what: str
    wall: float
    cpu: float
    fetched: int
    sent: int
    results: int
    execs: int
    saving: float = 0.0
    restoring: float = 0.0


class Machine:
    """A store, and a checkout of the project."""

    def __init__(self, subject: Subject, place: Path) -> None:
        self.subject = subject
        self.place = place
        self.source = checkout(subject.source, place / "source")

    @property
    def store(self) -> Path:
        """The store's directory."""
        return self.place / "cache" / "pipelines"

    def edit(self) -> None:
        """Change one line of one Go file."""
        with (self.source / self.subject.edited).open("a") as file:
            file.write("\nfunc init() { println() }\n")

    def run(self, backend: Backend | None, what: str) -> Measured:
        """Run the pipeline once.

        Raises:
            BenchError: it failed.
        """
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PIPELINES_CACHE_")}
        environ |= {"XDG_CACHE_HOME": str(self.place / "cache"), "PYTHONPATH": str(ROOT)}
        environ |= backend.environ if backend else {}
        environ |= (
            {"PIPELINES_CACHE_URL": backend.url, "PIPELINES_CACHE_SCOPE": "local"}
            if backend
            else {}
        )
        environ["PIPELINES_CACHE_PROJECT"] = self.subject.name
        began, used = time.perf_counter(), _used()
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "pipelines.cli.main", "run", *self.subject.command,
             "--source", str(self.source), "--export", str(self.place / "out"),
             "--progress", "json"],
            env=environ, cwd=self.place, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        wall, cpu = time.perf_counter() - began, _used() - used
        if ended.returncode != 0:
            raise BenchError(f"{what}: exit {ended.returncode}\n{ended.stderr[-3000:]}")
        events = [json.loads(line) for line in ended.stderr.splitlines() if line[:1] == "{"]
        execs = sum(e["event"] == "exec" and e.get("state") == "started" for e in events)
        entries = Ledger(self.store).last() if Ledger(self.store).entries() else []
        fetched = sum(entry.size for entry in entries if entry.did in RECEIVED)
        sent = {c: sum(e.size for e in entries if e.did in SENT and (e.cache == "results") is c)
                for c in (False, True)}  # fmt: skip
        kind = backend.kind if backend else TARBALL
        return Measured(
            self.subject.name, kind, what, wall, cpu, fetched, sent[False], sent[True], execs,
            sum(entry.seconds for entry in entries if entry.did in SENT),
        )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables."""
    options = _options(arguments)
    scratch = options.keep or Path(tempfile.mkdtemp(prefix="pipelines-travel-"))
    scratch.mkdir(parents=True, exist_ok=True)
    found: list[Measured] = []
    try:
        for name in options.project or ("go_service",):
            subject, kinds = _subject(name, scratch), options.backend or KINDS
            for one in _measured(subject, kinds, scratch / name, options.rounds):
                found.append(one)
                print(_line(one), flush=True)
        print(f"\nmedians of {options.rounds}:")
        for one in _medians(found):
            print(_line(one))
    except BenchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    finally:
        if options.json:
            options.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
        if options.keep is None:
            _remove(scratch)
    return 0


def _measured(
    subject: Subject, kinds: Sequence[str], place: Path, rounds: int
) -> Iterator[Measured]:
    """Yield every run of a project."""
    first, tarball = Machine(subject, place / "first"), place / "volumes.tar.zst"
    home = Backend("directory", str(place / "shared"))
    yield first.run(home, "cold")
    yield _packed(first, tarball)
    ways = [*kinds, TARBALL]
    for number in range(rounds):
        turn = number % len(ways)
        for way in ways[turn:] + ways[:turn]:
            own = place / f"{way}-{number}"
            if way == TARBALL:
                yield _unpacked(Machine(subject, own), tarball)
            else:
                yield from _fetched(subject, home, way, own)


def _fetched(subject: Subject, home: Backend, kind: str, place: Path) -> Iterator[Measured]:
    """Run on a copy of a backend, unchanged and with an edit."""
    place.mkdir(parents=True)
    with _served(kind, place) as backend:
        anyio.run(_copied, home, backend)
        yield Machine(subject, place / "same").run(backend, "fresh, unchanged")
        edited = Machine(subject, place / "edited")
        edited.edit()
        yield edited.run(backend, "fresh, one-line edit")


def _packed(first: Machine, tarball: Path) -> Measured:
    """Save the volumes as a tarball.

    Without the executables that are kept for one machine: Go's caches alone do not have them.
    """
    began, used = time.perf_counter(), _used()
    packed = f"tar -C {first.store} --exclude='*/data/kept' -cf - volumes"
    _shell(f"{packed} | zstd -q -T2 -3 -o {tarball}")
    saving, size, cpu = time.perf_counter() - began, tarball.stat().st_size, _used() - used
    return Measured(first.subject.name, TARBALL, "save", saving, cpu, 0, size, 0, 0)


def _unpacked(fresh: Machine, tarball: Path) -> Measured:
    """Restore the tarball, and run with an edit."""
    fresh.store.mkdir(parents=True, mode=0o700)
    began, used = time.perf_counter(), _used()
    _shell(f"zstd -q -dc {tarball} | tar -C {fresh.store} -xf -")
    restoring, cpu = time.perf_counter() - began, _used() - used
    fresh.edit()
    ran = fresh.run(None, "")
    wall, cpu = restoring + ran.wall, cpu + ran.cpu
    size, name = tarball.stat().st_size, fresh.subject.name
    return Measured(
        name, TARBALL, "restore, one-line edit", wall, cpu, size, 0, 0, ran.execs, 0.0, restoring
    )


def _used() -> float:
    """Give the CPU seconds of the children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _shell(command: str) -> None:
    ended = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], check=False)
    if ended.returncode != 0:
        raise BenchError(f"{command}: exit {ended.returncode}")


@contextlib.contextmanager
def _served(kind: str, place: Path) -> Iterator[Backend]:
    """Run a server of S3 (moto) or a registry (Debian's docker-registry) on loopback."""
    import importlib

    if kind == "directory":
        yield Backend(kind, str(place / "shared"))
        return
    if kind == "s3":
        servers = importlib.import_module("tests.caches.transports.servers")
        with servers.bucket() as bucket:
            yield Backend(kind, bucket.url("travel"), dict(servers.KEYS))
        return
    with importlib.import_module("tests.outside").real_registry(place / "registry") as server:
        yield Backend(kind, f"oci://{server.host}/travel/cache")


async def _copied(source: Backend, target: Backend) -> None:
    """Copy all objects of a backend to another."""
    one = open_transport(source.url, source.environ)
    other = open_transport(target.url, {**os.environ, **target.environ})
    try:
        async for item in one.list(""):
            if not item.name.startswith("heads/"):
                await other.write(item.name, await one.read(item.name))
        async for head in standing(one):
            content = (await one.heads(head.name))[0].content
            await other.swap(head.name, content, await other.heads(head.name))
    finally:
        await one.aclose()
        await other.aclose()


def _subject(name: str, scratch: Path) -> Subject:
    if name == "go_service":
        example = ROOT / "examples" / "go_service"
        stage = ("release", "-f", str(example / "ci.py"))
        return Subject(name, example, stage, "internal/links/links.go")
    source = fetch(CRANE, scratch / "crane-source")
    flags = ("--command", CRANE.command, "--version", go_version(), "--targets")
    command = ("release", "-f", str(PIPELINE), *flags, ",".join(CRANE.targets))
    return Subject(name, source, command, CRANE.leaves[1])


def _medians(found: Sequence[Measured]) -> Iterator[Measured]:
    """Give the middle of each kind of run by its wall clock without the save."""
    kinds = dict.fromkeys((one.project, one.backend, one.what) for one in found)
    for kind in kinds:
        same = [one for one in found if (one.project, one.backend, one.what) == kind]
        yield sorted(same, key=lambda one: one.wall - one.saving)[(len(same) - 1) // 2]


def _line(one: Measured) -> str:
    fetched, sent, results = (n / 1e6 for n in (one.fetched, one.sent, one.results))
    sizes = f"{fetched:7.1f} MB fetched {sent:7.1f} + {results:5.1f} MB sent"
    head = f"{one.project:11} {one.backend:10} {one.what:22}"
    parts = f"({one.restoring:4.1f} s restoring, {one.saving:4.1f} s saving)"
    return f"{head} {one.wall:6.1f} s {parts} {sizes}  {one.execs} execs"


def _remove(scratch: Path) -> None:
    for store in [*scratch.glob("*/*/cache"), *scratch.glob("*/*/*/cache")]:
        environ = {**os.environ, "XDG_CACHE_HOME": str(store), "PYTHONPATH": str(ROOT)}
        prune = [sys.executable, "-P", "-m", "pipelines.cli.main", "cache", "prune", "--all"]
        subprocess.run(prune, env=environ, capture_output=True, check=False)
    shutil.rmtree(scratch, ignore_errors=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m ci.travel", description=__doc__)
    parser.add_argument("--project", action="append", choices=("go_service", "crane"))
    parser.add_argument("--backend", action="append", choices=KINDS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
