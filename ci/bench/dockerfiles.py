"""A real Go project's Dockerfile: ours against BuildKit with a warm daemon, image files exported.

The Dockerfile is a good one (module layer, cache mounts, scratch), the same for all. Every run is
timed whole: our interpreter, session and all; Docker's client. The daemon of the peer is warm.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from ci.bench.buildkit import load, settings
from ci.bench.dockerd import Absent, Docker, daemon
from ci.bench.engines import Engine, command
from ci.bench.inputs import CRANE, fetch, go_version
from ci.bench.measure import BenchError, Sample, alternate, run
from ci.bench.projects import edit
from ci.bench.report import Report

__all__ = ["measure"]

PIPELINE = Path(__file__).parent / "pipeline" / "dockerfile.py"
CACHES = "--mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build"


class Contestant(Protocol):
    """Builds the Dockerfile in `source` and writes the image's files to `out`."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def build(self, source: Path, out: Path) -> Sample:
        """Build once."""


@dataclass(frozen=True, slots=True)
class Ours:
    """`pipelines run`, on the embedded engine."""

    engine: Engine
    name: str = "pipelines"

    def build(self, source: Path, out: Path) -> Sample:
        """Run the stage that builds a Dockerfile."""
        line = [command(), "run", "-f", str(PIPELINE), "image", "--source", str(source)]
        return run([*line, "--export", str(out)], env=self.engine.env, cwd=out.parent)[0]


@dataclass(frozen=True, slots=True)
class DockerBuild:
    """`docker build` of a daemon of our own."""

    docker: Docker
    name: str = "docker build"

    def build(self, source: Path, out: Path) -> Sample:
        """Build, with the host's network for the module proxy."""
        line = [self.docker.program, "build", "--network=host", "-o", f"type=local,dest={out}"]
        return run([*line, str(source)], env=self.docker.env)[0]


@dataclass(frozen=True, slots=True)
class Buildctl:
    """`buildctl build` of the daemon that BUILDKIT_HOST names."""

    name: str = "buildctl"
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def build(self, source: Path, out: Path) -> Sample:
        """Solve for this machine's platform."""
        line = ["buildctl", "build", "--frontend", "dockerfile.v0"]
        line += ["--local", f"context={source}", "--local", f"dockerfile={source}"]
        return run([*line, "--output", f"type=local,dest={out}"], env=self.env)[0]


def measure(report: Report, engine: Engine, scratch: Path, *, quick: bool) -> None:
    """Measure no-op, README edit and one-line edit."""
    if shutil.which("go") is None:
        report.skip("dockerfile", "no `go` on PATH: there is no Go image to build with")
        return
    scratch.mkdir(parents=True, exist_ok=True)
    source = fetch(CRANE, scratch / "source")
    base = os.environ.get("BENCH_BUILDKIT_BASE", f"golang:{go_version()}")
    (source / "Dockerfile").write_text(dockerfile(base))
    (source / ".dockerignore").write_text(".git\n*.md\nDockerfile\n")
    with _peers(report, engine, scratch, base) as peers:
        _course(report, source, [Ours(engine), *peers], scratch, 2 if quick else 5)


def dockerfile(base: str) -> str:
    """Write the Dockerfile; what the machine's Go says of proxies is said to the builders too."""
    told = "".join(f"ENV {name}={value}\n" for name, value in settings().items())
    return (
        f"FROM {base} AS build\nWORKDIR /src\n{told}ENV CGO_ENABLED=0 GOTOOLCHAIN=local\n"
        f"COPY go.mod go.sum ./\nRUN {CACHES} go mod download\nCOPY . .\n"
        f'RUN {CACHES} go build -trimpath -buildvcs=false -ldflags "-s -w" -o /out/crane '
        f"{CRANE.command}\nFROM scratch\nCOPY --from=build /out/ /\n"
        'ENTRYPOINT ["/crane"]\n'
    )


@contextmanager
def _peers(report: Report, engine: Engine, scratch: Path, base: str) -> Iterator[list[Contestant]]:
    found: list[Contestant] = []
    if shutil.which("buildctl") and os.environ.get("BUILDKIT_HOST"):
        found.append(Buildctl())
    else:
        report.skip("dockerfile: buildctl", "no `buildctl`, or BUILDKIT_HOST is not set")
    try:
        with daemon() as docker:
            load(docker, engine, base, scratch)
            yield [*found, DockerBuild(docker)]
    except Absent as why:
        report.skip("dockerfile: docker build", str(why))
        yield found


def _course(
    report: Report, source: Path, contestants: Sequence[Contestant], scratch: Path, rounds: int
) -> None:
    outs = {one.name: scratch / "out" / one.name.replace(" ", "-") for one in contestants}
    for place in outs.values():
        place.parent.mkdir(parents=True, exist_ok=True)

    def turns(name: str, before: Callable[[int], None], reach: str) -> None:
        builds = {one.name: partial(one.build, source, outs[one.name]) for one in contestants}
        series = alternate(builds, rounds, before)
        _same(outs)
        report.compare("dockerfile", name, series, reach)

    for one in contestants:  # warms every cache
        one.build(source, outs[one.name])
    turns("no-op", lambda _: None, "≤ 1.5 × BuildKit")
    turns("README edit", lambda _: _touch(source), "= no-op")
    turns(
        "one-line edit",
        lambda number: edit(source / CRANE.leaves[number % len(CRANE.leaves)]),
        "< BuildKit",
    )


def _touch(source: Path) -> None:
    with (source / "README.md").open("a") as file:
        file.write(f"\n{uuid.uuid4().hex}\n")


def _same(outs: Mapping[str, Path]) -> None:
    """Check that all built the same program."""
    digests = {n: hashlib.sha256((o / "crane").read_bytes()).hexdigest() for n, o in outs.items()}
    if len(set(digests.values())) > 1:
        raise BenchError(f"the contestants built different programs: {digests}")
