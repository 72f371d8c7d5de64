"""Images of the container engine that this machine has: Docker, Podman or nerdctl."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import anyio

from pipelines.engine.errors import ImageError

__all__ = ["save"]

ENGINES = ("docker", "podman", "nerdctl")


async def save(name: str, into: Path, environ: Mapping[str, str]) -> None:
    """Write an image to an archive, asking the engines in turn.

    Raises:
        ImageError: no engine has it; says what each of them answered.
    """
    said = []
    for engine in ENGINES:
        program = shutil.which(engine, path=environ.get("PATH"))
        if program is None:
            continue
        command = [program, "image", "save", "--output", str(into), "--", name]
        done = await anyio.run_process(
            command, check=False, stdin=subprocess.DEVNULL, env=dict(environ)
        )
        if done.returncode == 0:
            return
        answer = (done.stderr or done.stdout).decode(errors="replace").strip()
        said.append(f"{engine}: {answer.splitlines()[-1] if answer else 'it failed'}")
    raise ImageError(
        f"image {name!r} of this machine's container engine: "
        + ("; ".join(said) or f"there is none of {', '.join(ENGINES)} on PATH")
        + "; to take an image from a registry use container().from_()"
    )
