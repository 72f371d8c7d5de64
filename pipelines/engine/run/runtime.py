"""Load images into the container runtime of the host, through its own command.

`docker load` and its like read an archive from standard input: nothing is written to disk. A
runtime counts as there when its daemon answers. Podman has none as an ordinary user and would
take our user namespace for its own, so there it is asked through its socket (`--remote`).
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ImageError
from pipelines.engine.images.blobs import NewBlob
from pipelines.engine.images.reference import Reference
from pipelines.engine.run.archive import write
from pipelines.engine.run.compose import Composed

__all__ = ["Runtime", "find_runtime"]

_PATIENCE = 10.0
_SAID = 500


def find_runtime(environ: Mapping[str, str], platform: str, *, root: bool) -> "Runtime | None":
    """Find the first runtime that answers."""
    podman = ("podman",) if root else ("podman", "--remote")
    for command in (("docker",), podman, ("nerdctl",)):
        program = shutil.which(command[0], path=environ.get("PATH"))
        if program and _answers([program, *command[1:]], environ):
            return Runtime((program, *command[1:]), environ, platform)
    return None


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime that answered: the start of its command lines, and what it runs natively."""

    command: tuple[str, ...]
    environ: Mapping[str, str]
    platform: str

    def load(self, composed: Composed, places: dict[Digest, Path], ref: Reference) -> None:
        """Load images under a name; blocks.

        Raises:
            ImageError: the runtime refuses them; with what it says.
        """
        with subprocess.Popen(
            [*self.command, "load", "-q"],
            env=dict(self.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it went away, and says why
                write(composed, places, NewBlob(process.stdin.fileno()), ref, self.platform)
            said, _ = process.communicate()
        if process.returncode != 0:
            text = said.decode("utf-8", "replace").strip()[-_SAID:]
            shown = f"{os.path.basename(self.command[0])} load"
            raise ImageError(f"exportImage {ref}: {shown} ended with {process.returncode}: {text}")


def _answers(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            [*command, "version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
