"""The projects that are mutated: real modules, small enough to be built anew for every round."""

import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from ci.bench.inputs import Project as Module
from ci.bench.inputs import fetch

__all__ = ["PROJECTS", "Project", "source_of"]


@dataclass(frozen=True, slots=True)
class Project:
    """A module, the packages that are tested, and the commands that are built, per platform."""

    name: str
    module: str
    version: str
    targets: tuple[str, ...]
    packages: str = "./..."

    @property
    def pinned(self) -> str:
        """Spell module and version as Go does."""
        return f"{self.module}@{self.version}"


def _for(platforms: tuple[str, ...], *commands: str) -> tuple[str, ...]:
    return tuple(f"{platform} {command}" for platform in platforms for command in commands)


PROJECTS = {
    project.name: project
    for project in (
        # Embeds a tree of a thousand files and reads it in tests; three commands.
        Project(
            "toml",
            "github.com/BurntSushi/toml",
            "v1.6.0",
            _for(("linux/amd64",), "./cmd/tomlv", "./cmd/toml-test-decoder")
            + _for(("windows/arm64",), "./cmd/tomlv"),
        ),
        # Assembly for two architectures, files for many systems, a dependency, binary testdata.
        Project(
            "cpuid",
            "github.com/klauspost/cpuid/v2",
            "v2.4.2",
            _for(("linux/amd64", "linux/arm64", "windows/amd64"), "./cmd/cpuid"),
        ),
    )
}


def source_of(project: Project, target: Path) -> Path:
    """Put the module's source, as it was published, into a new directory."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    fetch(Module(project.name, project.module, project.version, "", ()), target)
    for path in target.rglob("*"):
        if path.is_file() and path.read_bytes()[:2] == b"#!":
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o111)
    return target
