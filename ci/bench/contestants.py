"""Those who build the six targets. Same source, same flags, same Go; each keeps its own caches."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ci.bench.engines import Engine, command
from ci.bench.inputs import TARGETS, Project, go_version
from ci.bench.measure import Sample, run

__all__ = ["BuildKit", "Contestant", "GoReleaser", "Host", "Pipelines", "peers"]

PIPELINE = Path(__file__).parent / "pipeline"
LDFLAGS = "-s -w"


class Contestant(Protocol):
    """Builds `project` from `source` into `out`, one directory per target, and times it whole."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def build(self, project: Project, source: Path, out: Path) -> Sample:
        """Build once."""


@dataclass(frozen=True, slots=True)
class Pipelines:
    """The command of this package, on either engine."""

    name: str
    engine: Engine

    def build(self, project: Project, source: Path, out: Path) -> Sample:
        """Run `pipelines run release --export`, interpreter and all."""
        words = ["--source", str(source), "--command", project.command, "--version", go_version()]
        export = ["--export", str(out), "--engine", self.engine.name]
        line = [command(), "run", "release", *words, *export]
        return run(line, env=self.engine.env, cwd=PIPELINE)[0]


@dataclass(frozen=True, slots=True)
class Host:
    """The loop that anyone would write: `go build` for each target, one per core at a time."""

    caches: Path
    name: str = "host"

    def build(self, project: Project, source: Path, out: Path) -> Sample:
        """Run the loop; outputs of the last time are left there, so Go may skip their links."""
        words = f'-trimpath -buildvcs=false -ldflags "{LDFLAGS}"'
        one = (
            f"GOOS=${{1%/*}} GOARCH=${{1#*/}} go build {words} "
            f'-o "{out}/${{1%/*}}-${{1#*/}}/" {project.command}'
        )
        feed = " ".join(TARGETS)
        line = f"printf '%s\\n' {feed} | xargs -P {os.cpu_count()} -n 1 sh -c '{one}' sh"
        return run(["sh", "-c", line], env=self.env(), cwd=source)[0]

    def env(self) -> dict[str, str]:
        """Return the environment: caches of its own, nothing else changed."""
        gone = {"GOFLAGS", "GOOS", "GOARCH"}
        own = {
            "CGO_ENABLED": "0",
            "GOCACHE": str(self.caches / "build"),
            "GOMODCACHE": str(self.caches / "modules"),
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-modcacherw",
        }
        return {k: v for k, v in os.environ.items() if k not in gone} | own


@dataclass(frozen=True, slots=True)
class GoReleaser:
    """`goreleaser build --snapshot --clean`, on the host's Go."""

    host: Host
    scratch: Path
    name: str = "goreleaser"

    def build(self, project: Project, source: Path, out: Path) -> Sample:
        """Run it with a configuration that lies outside the source."""
        config = self.scratch / f"goreleaser-{project.name}.yaml"
        config.write_text(
            "version: 2\n"
            f"project_name: {project.name}\n"
            f"dist: {out}\n"
            "builds:\n"
            f"  - main: {project.command}\n"
            f"    binary: {project.name}\n"
            "    no_unique_dist_dir: false\n"
            "    flags: [-trimpath, -buildvcs=false]\n"
            f'    ldflags: ["{LDFLAGS}"]\n'
            "    goos: [linux, darwin, windows]\n"
            "    goarch: [amd64, arm64]\n"
            "    goamd64: [v1]\n"
        )
        line = ["goreleaser", "build", "--snapshot", "--clean", "-f", str(config)]
        sample, _ = run(line, env=self.host.env(), cwd=source)
        _rename(out, project)
        return sample


@dataclass(frozen=True, slots=True)
class BuildKit:
    """`buildctl build` of a good Dockerfile: module layer, bind mounts, cache mounts, one solve."""

    scratch: Path
    base: str
    name: str = "buildkit"
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def build(self, project: Project, source: Path, out: Path) -> Sample:
        """Solve six platforms at once and export them."""
        folder = self.scratch / f"buildkit-{project.name}"
        folder.mkdir(exist_ok=True)
        caches = "--mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/gocache"
        (folder / "Dockerfile").write_text(
            f"FROM --platform=$BUILDPLATFORM {self.base} AS build\n"
            "WORKDIR /src\n"
            "ENV CGO_ENABLED=0 GOCACHE=/gocache GOTOOLCHAIN=local GOFLAGS=\n"
            "COPY go.mod go.sum ./\n"
            f"RUN {caches} go mod download\n"
            "ARG TARGETOS TARGETARCH\n"
            f"RUN --mount=type=bind,target=. {caches} "
            "GOOS=$TARGETOS GOARCH=$TARGETARCH "
            f'go build -trimpath -buildvcs=false -ldflags "{LDFLAGS}" -o /out/ {project.command}\n'
            "FROM scratch\n"
            "COPY --from=build /out /\n"
        )
        (folder / "Dockerfile.dockerignore").write_text("*.md\n")
        line = ["buildctl", "build", "--frontend", "dockerfile.v0"]
        line += ["--local", f"context={source}", "--local", f"dockerfile={folder}"]
        line += ["--opt", f"platform={','.join(TARGETS)}"]
        line += ["--output", f"type=local,dest={out}"]
        return run(line, env=self.env)[0]


def peers(host: Host, scratch: Path) -> tuple[list[Contestant], dict[str, str]]:
    """Return the peers that are installed, and why the others are not here."""
    found: list[Contestant] = []
    absent: dict[str, str] = {}
    if shutil.which("goreleaser"):
        found.append(GoReleaser(host, scratch))
    else:
        absent["GoReleaser"] = "no `goreleaser` on PATH"
    if why := _no_buildkit():
        absent["BuildKit"] = why
    else:
        base = os.environ.get("BENCH_BUILDKIT_BASE", f"golang:{go_version()}")
        found.append(BuildKit(scratch, base))
    return found, absent


def _no_buildkit() -> str | None:
    if shutil.which("buildctl") is None:
        return "no `buildctl` on PATH"
    asked = subprocess.run(
        ["buildctl", "--timeout", "3", "debug", "workers"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return None if asked.returncode == 0 else "`buildctl` reaches no buildkitd"


def _rename(out: Path, project: Project) -> None:
    """Give GoReleaser's directories (`crane_linux_amd64_v1`) the plain names."""
    for target in TARGETS:
        system, arch = target.split("/")
        for made in out.glob(f"*_{system}_{arch}*"):
            plain = out / f"{system}-{arch}"
            plain.mkdir(exist_ok=True)
            for file in made.glob(f"{project.name}*"):
                shutil.copyfile(file, plain / file.name)
