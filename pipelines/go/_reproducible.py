"""Is a build reproducible? It is built twice, with nothing in common but the source."""

import posixpath
from typing import Any, cast

from pipelines._dagger import dagger
from pipelines._errors import StageFailed
from pipelines._platform import Platform
from pipelines.go._caches import BUILD_PATH
from pipelines.go._commands import Setup, build, part_of
from pipelines.go._env import env
from pipelines.go._target import OUT, go_build, ldflags_with
from pipelines.go._zig import CACHE as ZIG_CACHE
from pipelines.go._zig import chosen

__all__ = ["reproducible"]

ELSEWHERE = "/another/place/of/another/length"
LINES = 20


async def reproducible(
    source: dagger.Directory, platform: Platform | None = None, *packages: str, **options: Any
) -> dagger.Directory:
    """Build as `go.build` does, and once more in another directory with an empty build cache.

    Give the executables if both have the same bytes. Takes the arguments of `go.build`.

    Raises:
        StageFailed: they differ; the message says which, where, and what they say of themselves.
        dagger.ExecError: a build failed.
    """
    first = await build(source, platform, *packages, **options)
    setup = cast("Setup", {k: v for k, v in options.items() if k in Setup.__annotations__})
    tags, more = options.get("tags", ()), options.get("inputs", ())
    part = await part_of(source, platform, packages, tags, more, setup)
    container = await env(source, platform, inputs=part, **setup)
    workdir = posixpath.normpath(posixpath.join(ELSEWHERE, setup.get("module", ".")))
    moved = container.with_mounted_directory(ELSEWHERE, part).with_workdir(workdir)
    for emptied in (BUILD_PATH, *([ZIG_CACHE] if chosen(setup.get("cgo", False)) else [])):
        moved = moved.with_mounted_temp(emptied)
    flags = {k: options[k] for k in ("tags", "trimpath", "race", "output") if k in options}
    ldflags = ldflags_with(options.get("ldflags", ""), options.get("stamp") or {})
    command = go_build(packages or (".",), platform, ldflags=ldflags, **flags)
    again = moved.with_exec(command).directory(OUT)
    if differing := await _differing(first, again):
        raise StageFailed(await _difference(container, first, again, differing))
    return first


async def _differing(first: dagger.Directory, again: dagger.Directory) -> list[str]:
    names = sorted({*await first.entries(), *await again.entries()})
    return [name for name in names if await _digest(first, name) != await _digest(again, name)]


async def _digest(directory: dagger.Directory, name: str) -> str:
    if name not in await directory.entries():
        return ""
    return await directory.file(name).digest(exclude_metadata=True)


async def _difference(
    container: dagger.Container, first: dagger.Directory, again: dagger.Directory, names: list[str]
) -> str:
    """Say what differs: where the first byte is, and what Go wrote into the executables."""
    looking = container.with_mounted_directory("/1", first).with_mounted_directory("/2", again)
    lines = [f"the build is not reproducible: {', '.join(names)}"]
    for name in names:
        compared = looking.with_exec(
            ["cmp", f"/1/{name}", f"/2/{name}"], expect=dagger.ReturnType.ANY
        )
        lines.append(f"  {(await compared.combined_output()).strip()}")
        said = [await _said(looking, f"/{number}/{name}") for number in (1, 2)]
        lines += [f"  only in build 1: {line}" for line in said[0] if line not in said[1]][:LINES]
        lines += [f"  only in build 2: {line}" for line in said[1] if line not in said[0]][:LINES]
    if len(lines) == 1 + len(names):
        lines.append("  what Go says of them is equal; paths or generated code may differ")
    return "\n".join(lines)


async def _said(container: dagger.Container, path: str) -> list[str]:
    """Give what `go version -m` says of an executable, without its name."""
    asked = container.with_exec(["go", "version", "-m", path], expect=dagger.ReturnType.ANY)
    return [line.strip().removeprefix(f"{path}: ") for line in (await asked.stdout()).splitlines()]
