"""BuildKit as a peer of the Go project groups: a good Dockerfile, in a daemon of our own.

Module layer, source by bind mount (no COPY), cache mounts, documents ignored, one solve for all
targets. Docker 20.10's `docker build` has one platform a solve, so every target is a stage.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci.bench.dockerd import Docker, daemon
from ci.bench.engines import Engine
from ci.bench.inputs import Project, go_version
from ci.bench.measure import Sample, run

__all__ = ["BuildKit", "buildkit", "load", "settings"]

CACHES = "--mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/gocache"
SETTINGS = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOINSECURE")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LOAD = f"""\
import os, sys, anyio
from pipelines import connect
async def main():
    async with connect(engine="embedded") as dag:
        base = dag.container().from_(sys.argv[1])
        # BuildKit does not lend the machine's certificates to commands.
        ours = os.environ.get("SSL_CERT_FILE", "{BUNDLE}")
        if os.path.exists(ours):
            base = base.with_file("{BUNDLE}", dag.host().file(ours))
        await base.export(sys.argv[2])
anyio.run(main)
"""


@dataclass(frozen=True, slots=True)
class BuildKit:
    """`docker build` with a warm daemon."""

    docker: Docker
    base: str
    scratch: Path
    name: str = "buildkit"

    def build(self, project: Project, source: Path, out: Path, stamp: str = "") -> Sample:
        """Build every target and export it."""
        return self._run(project, source, stamp, "-o", f"type=local,dest={out}")[0]

    def test(self, project: Project, source: Path) -> tuple[Sample, str]:
        """Test; a build tells on stderr what its commands printed, so nothing is read here."""
        return self._run(project, source, "", "--target", "test")

    def _run(self, project: Project, source: Path, stamp: str, *more: str) -> tuple[Sample, str]:
        folder = self.scratch / f"buildkit-{project.name}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile(project, self.base))
        (folder / "Dockerfile.dockerignore").write_text("*.md\n")
        line = [self.docker.program, "build", "--network=host", "-f", str(folder / "Dockerfile")]
        line += ["--build-arg", f"STAMP={stamp}", *more, str(source)]
        return run(line, env=self.docker.env)


def dockerfile(project: Project, base: str) -> str:
    """Write the Dockerfile; what this machine's Go says of proxies is said to the builder too."""
    told = "".join(f"ENV {name}={value}\n" for name, value in settings().items())
    lines = ["".join((
        f"FROM {base} AS modules\nWORKDIR /src\n{told}",
        "ENV CGO_ENABLED=0 GOCACHE=/gocache GOTOOLCHAIN=local GOFLAGS=\n",
        f"COPY go.mod go.sum ./\nRUN {CACHES} go mod download\n",
    ))]  # fmt: skip
    source = f"RUN --mount=type=bind,target=. {CACHES}"
    for target in project.targets:
        system, _, arch = target.partition("/")
        lines.append(
            f"FROM modules AS {system}-{arch}\nARG STAMP\n"
            f"{source} GOOS={system} GOARCH={arch} go build -trimpath -buildvcs=false "
            f'-ldflags "-s -w ${{STAMP:+-X $STAMP}}" -o /out/ {project.command}\n'
        )
    words = "go test -trimpath -buildvcs=false"
    # Tests write beside themselves; `rw` takes what they write away again.
    testing = source.replace("target=.", "target=.,rw")
    lines.append(f"FROM modules AS test\n{testing} {words} {' '.join(project.tests)}\n")
    lines.append("FROM scratch\n")
    names = [target.replace("/", "-") for target in project.targets]
    lines += [f"COPY --from={name} /out/ /{name}/\n" for name in names]
    return "".join(lines)


def settings() -> dict[str, str]:
    """Say how this machine's Go is set up to fetch modules."""
    asked = {name: subprocess.run(["go", "env", name], capture_output=True, text=True, check=False)
             for name in SETTINGS}  # fmt: skip
    return {name: said.stdout.strip() for name, said in asked.items() if said.stdout.strip()}


def load(docker: Docker, engine: Engine, base: str, scratch: Path) -> str:
    """Put a base image of ours into a daemon, with this machine's certificates."""
    archive = scratch / "base.tar"
    run([sys.executable, "-c", LOAD, base, str(archive)], env=engine.env)
    try:
        return docker.load(archive, base)
    finally:
        archive.unlink()


@contextmanager
def buildkit(engine: Engine, scratch: Path) -> Iterator[BuildKit]:
    """Give the peer, with a daemon that ends with the block.

    Raises:
        Absent: no daemon can be started here.
    """
    base = os.environ.get("BENCH_BUILDKIT_BASE", f"golang:{go_version()}")
    with daemon() as docker:
        load(docker, engine, base, scratch)
        yield BuildKit(docker, base, scratch)
