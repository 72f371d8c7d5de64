"""Those who build the six targets. Same source, same flags, same Go; each keeps its own caches."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ci.bench.engines import Engine, command
from ci.bench.inputs import Project, go_version
from ci.bench.measure import Sample, run

__all__ = ["Contestant", "GoReleaser", "Host", "Pipelines", "goreleaser", "linked"]

PIPELINE = Path(__file__).parent / "pipeline"
LDFLAGS = "-s -w"
GORELEASER = "github.com/goreleaser/goreleaser/v2@v2.15.0"


class Contestant(Protocol):
    """Builds `project` from `source` into `out`, one directory per target, and times it whole."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def build(self, project: Project, source: Path, out: Path, stamp: str = "") -> Sample:
        """Build once; `stamp` is the value of the project's variable."""


@dataclass(frozen=True, slots=True)
class Pipelines:
    """The command of this package, on either engine."""

    name: str
    engine: Engine

    def build(self, project: Project, source: Path, out: Path, stamp: str = "") -> Sample:
        """Run `pipelines run release --export`, interpreter and all."""
        words = ["--command", project.command, "--targets", ",".join(project.targets)]
        return self._run("release", source, *words, "--stamp", stamp, "--export", str(out))[0]

    def test(self, project: Project, source: Path) -> tuple[Sample, str]:
        """Run `pipelines run test`; give what `go test` printed, too."""
        return self._run("test", source, "--packages", ",".join(project.tests))

    def _run(self, stage: str, source: Path, *words: str) -> tuple[Sample, str]:
        line = [command(), "run", "--engine", self.engine.name, stage, "--source", str(source)]
        return run([*line, "--version", go_version(), *words], env=self.engine.env, cwd=PIPELINE)


@dataclass(frozen=True, slots=True)
class Host:
    """The loop that anyone would write: `go build` for each target, one per core at a time."""

    caches: Path
    name: str = "host"

    def build(self, project: Project, source: Path, out: Path, stamp: str = "") -> Sample:
        """Run the loop; outputs of the last time are left there, so Go may skip their links."""
        words = f'-trimpath -buildvcs=false -ldflags "{linked(stamp)}"'
        one = (
            f"GOOS=${{1%/*}} GOARCH=${{1#*/}} go build {words} "
            f'-o "{out}/${{1%/*}}-${{1#*/}}/" {project.command}'
        )
        feed = " ".join(project.targets)
        line = f"printf '%s\\n' {feed} | xargs -P {os.cpu_count()} -n 1 sh -c '{one}' sh"
        return run(["sh", "-c", line], env=self.env(), cwd=source)[0]

    def test(self, project: Project, source: Path) -> tuple[Sample, str]:
        """Run `go test` with the flags that ours has."""
        line = ["go", "test", "-trimpath", "-buildvcs=false", *project.tests]
        return run(line, env=self.env(), cwd=source)

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
    program: str
    name: str = "goreleaser"

    def build(self, project: Project, source: Path, out: Path, stamp: str = "") -> Sample:
        """Run it with a configuration that lies outside the source."""
        config = self.scratch / f"goreleaser-{project.name}.yaml"
        config.write_text(
            "version: 2\n"
            f"project_name: {project.name}\n"
            f"dist: {out}\n"
            "builds:\n"
            f"  - main: {project.command}\n"
            f"    binary: {project.name}\n"
            "    flags: [-trimpath, -buildvcs=false]\n"
            f'    ldflags: ["{linked(stamp)}"]\n'
            f"    targets: [{', '.join(t.replace('/', '_') for t in project.targets)}]\n"
        )
        line = [self.program, "build", "--snapshot", "--clean", "-f", str(config)]
        sample, _ = run(line, env=self.host.env(), cwd=source)
        _rename(out, project)
        return sample


def linked(stamp: str) -> str:
    """Spell the linker's flags; `stamp` is variable=value or nothing."""
    return f"{LDFLAGS} -X {stamp}" if stamp else LDFLAGS


def goreleaser(host: Host, scratch: Path, *, install: bool) -> GoReleaser | str:
    """Give the peer, or why it is not here; `install` fetches it through the Go module proxy."""
    own = scratch / "bin"
    found = shutil.which("goreleaser", path=f"{own}:{os.environ['PATH']}")
    if found is None and install:
        env = {**os.environ, "GOBIN": str(own), "GOFLAGS": "", "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", GORELEASER], env=env, capture_output=True, check=False)
        found = shutil.which("goreleaser", path=str(own))
    if found is None:
        return f"no `goreleaser` on PATH; `go install {GORELEASER}` gets it"
    return GoReleaser(host, scratch, found)


def _rename(out: Path, project: Project) -> None:
    """Give GoReleaser's directories (`crane_linux_amd64_v1`) the plain names."""
    for target in project.targets:
        system, arch = target.split("/")
        for made in out.glob(f"*_{system}_{arch}*"):
            plain = out / f"{system}-{arch}"
            plain.mkdir(exist_ok=True)
            for file in made.glob(f"{project.name}*"):
                shutil.copyfile(file, plain / file.name)
