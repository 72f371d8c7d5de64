"""The Go projects that are built: fetched as modules, the way this machine's Go is set up."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.bench.measure import BenchError

__all__ = [
    "BUILDX",
    "CRANE",
    "PODINFO",
    "TARGETS",
    "Project",
    "checkout",
    "digests",
    "fetch",
    "go_version",
]

TARGETS = tuple(f"{o}/{a}" for o in ("linux", "darwin", "windows") for a in ("amd64", "arm64"))


@dataclass(frozen=True, slots=True)
class Project:
    """A module at a version, the command that is built, and the leaves that are edited.

    `stamp` is the variable that release builds set, `tests` are the packages that are tested, and
    `test` is a test file of one of them.
    """

    name: str
    module: str
    version: str
    command: str
    leaves: tuple[str, ...]
    targets: tuple[str, ...] = TARGETS
    stamp: str = ""
    tests: tuple[str, ...] = ()
    test: str = ""


CRANE = Project(
    "crane",
    "github.com/google/go-containerregistry",
    "v0.21.9",
    "./cmd/crane",
    (
        "cmd/crane/main.go",
        "cmd/crane/cmd/version.go",
        "cmd/crane/cmd/digest.go",
        "cmd/crane/cmd/list.go",
        "cmd/crane/cmd/pull.go",
    ),
    stamp="github.com/google/go-containerregistry/cmd/crane/cmd.Version",
    tests=("./...",),
    test="pkg/name/tag_test.go",
)
# The large one: 1,400 packages. Two targets, so that the cold builds end before lunch.
BUILDX = Project(
    "buildx",
    "github.com/docker/buildx",
    "v0.36.1",
    "./cmd/buildx",
    (
        "cmd/buildx/main.go",
        "commands/version.go",
        "commands/inspect.go",
        "commands/stop.go",
        "commands/rm.go",
    ),
    targets=("linux/amd64", "darwin/arm64"),
    stamp="github.com/docker/buildx/version.Version",
    tests=("./bake/...", "./store/...", "./util/buildflags/..."),
    test="store/store_test.go",
)
PODINFO = Project(
    "podinfo",
    "github.com/stefanprodan/podinfo",
    "v1.8.1-0.20250910200901-e86405a8674e",
    "./cmd/podinfo",
    (
        "cmd/podinfo/main.go",
        "pkg/api/http/echo.go",
        "pkg/api/http/delay.go",
        "pkg/api/http/status.go",
        "pkg/api/grpc/info.go",
    ),
)


def fetch(project: Project, target: Path) -> Path:
    """Copy the module to a writable directory, without the modules that it vendors."""
    asked = subprocess.run(
        ["go", "mod", "download", "-json", f"{project.module}@{project.version}"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    found = json.loads(asked.stdout or "{}")
    if asked.returncode != 0 or "Dir" not in found:
        msg = f"{project.module}@{project.version}: {found.get('Error') or asked.stderr}"
        raise BenchError(msg)
    checkout(Path(found["Dir"]), target)
    shutil.rmtree(target / "vendor", ignore_errors=True)
    return target


def checkout(source: Path, target: Path) -> Path:
    """Copy a tree as `git clone` would leave it: writable, with the present as its mtimes."""
    shutil.copytree(source, target, copy_function=shutil.copyfile, symlinks=True)
    for directory, _, names in os.walk(target):
        os.chmod(directory, 0o755)
        for name in names:
            if not os.path.islink(os.path.join(directory, name)):
                os.chmod(os.path.join(directory, name), 0o644)
    return target


def digests(root: Path, targets: Sequence[str] = TARGETS) -> dict[str, str]:
    """Return the digest of every target's executable below `root`/os-arch (os_arch, os/arch)."""
    found = {}
    for target in targets:
        system, arch = target.split("/")
        for place in (root / f"{system}-{arch}", root / f"{system}_{arch}", root / system / arch):
            files = [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else []
            if files:
                found[target] = hashlib.sha256(max(files, key=_size).read_bytes()).hexdigest()
                break
        else:
            raise BenchError(f"nothing was built for {target} below {root}")
    return found


def go_version() -> str:
    """Return the host's Go version, such as 1.26.8."""
    printed = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return printed.stdout.strip().removeprefix("go")


def _size(path: Path) -> int:
    return path.stat().st_size
