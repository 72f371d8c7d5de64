"""macOS universal binaries: one file that runs on both architectures."""

from importlib.resources import files
from typing import Any

import anyio

from pipelines._cache import mount
from pipelines._dagger import dagger
from pipelines._memo import mark_forced
from pipelines._platform import Platform
from pipelines.go._caches import caches
from pipelines.go._commands import build
from pipelines.go._env import base
from pipelines.go._tools import GO

__all__ = ["universal"]

ARCHITECTURES = ("amd64", "arm64")


async def universal(source: dagger.Directory, *packages: str, **options: Any) -> dagger.Directory:
    """Build commands for macOS on both architectures; give the directory with universal binaries.

    Args:
        source: The repository.
        packages: Packages or patterns; by default `.`.
        options: The other arguments of `go.build`.

    Raises:
        dagger.ExecError: a build failed, as from `go.build`.
    """
    made: dict[str, dagger.Directory] = {}

    async def one(arch: str) -> None:
        made[arch] = await build(source, Platform("darwin", arch), *packages, **options)

    async with anyio.create_task_group() as group:
        for arch in ARCHITECTURES:
            group.start_soon(one, arch)
    return await _joined(made)


async def _joined(made: dict[str, dagger.Directory]) -> dagger.Directory:
    container = base(GO).with_(mount(*caches(GO)[1:]))
    program = files("pipelines.go").joinpath("universal.go").read_text(encoding="utf-8")
    container = container.with_new_file("/join/universal.go", program)
    for arch, directory in made.items():
        container = container.with_mounted_directory(f"/in/{arch}", directory)
    container = container.with_exec(["mkdir", "-p", "/out"])
    for name in await made[ARCHITECTURES[0]].entries():
        inputs = [f"/in/{arch}/{name}" for arch in ARCHITECTURES]
        command = ["go", "run", "/join/universal.go", f"/out/{name}", *inputs]
        container = container.with_exec(command)
    return mark_forced(await container.directory("/out").sync())
