"""Kept executables: those of the last build lie beside the build cache, so that Go can leave them.

Links are not in Go's build cache. A command that runs again for a reason that does not change the
executable (a comment, another file of the package, a record that the store dropped) would link it
again, which takes three times as long as finding it. `kept.sh` lends the executables to `go build`
and says what makes that safe.

A slot is for one build of one module, whatever it is stamped with. It is a matter of finding, not
of being right: that a kept file is what would be linked is Go's to say.

With cgo nothing is kept: the libraries of the system, which are linked in, are not in Go's id.
"""

from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from pipelines._dagger import dagger
from pipelines.go._project import Project

__all__ = ["keeping", "slot", "with_script"]

SCRIPT = "/go/kept.sh"


def slot(project: Project, command: Sequence[str]) -> str:
    """Name the place of a build, which is spelled without its stamps."""
    of = (project.path, project.module, *command)
    return sha256("\0".join(of).encode()).hexdigest()[:16]


def keeping(command: Sequence[str], place: str) -> list[str]:
    """Spell a `go build` that is lent what was kept in a slot, and leaves what it made there."""
    return ["sh", SCRIPT, place, *command]


def with_script(container: dagger.Container) -> dagger.Container:
    """Add the script to a container."""
    text = files("pipelines.go").joinpath("kept.sh").read_text(encoding="utf-8")
    return container.with_new_file(SCRIPT, text)
