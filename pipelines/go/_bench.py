"""Benchmarks. A measurement is of this machine at this time, so no record ever answers for it."""

import posixpath
from typing import Unpack

from pipelines._dagger import dagger
from pipelines._errors import UsageError
from pipelines._memo import mark_forced
from pipelines.go._benchmarks import as_json, compared, read
from pipelines.go._commands import part_of
from pipelines.go._env import WORKDIR
from pipelines.go._ready import chosen_for, ready
from pipelines.go._run import SCRIPTS, anew, equipped
from pipelines.go._target import OUT
from pipelines.go._testing import Testing

__all__ = ["bench"]

BASE = "/base"


async def bench(
    source: dagger.Directory,
    *packages: str,
    benchmarks: str = ".",
    times: int = 6,
    seconds: float = 1.0,
    base: dagger.Directory | None = None,
    **options: Unpack[Testing],
) -> dagger.Directory:
    """Run benchmarks, by default all; give a directory of results.

    In it: `bench.txt` as Go prints it and other programs read it, `bench.json` with every run. With
    `base` both are run in turns, and `compare.txt` says what changed and how sure that is: a
    change is told only if both being equal is less likely than 5 % (Mann-Whitney U test).

    Args:
        source: The repository.
        packages: Packages or patterns; by default `./...`.
        benchmarks: Which, as a regular expression.
        times: How often each is run; a comparison needs 4 at least.
        seconds: How long one run of one benchmark takes.
        base: The source as it was.
        options: The arguments of `test`.

    Raises:
        dagger.ExecError: a benchmark failed.
        UsageError: there are no benchmarks.
    """
    chosen = await chosen_for(source, options)
    every = packages or ("./...",)
    container = equipped(anew(await ready(source, every, chosen)))
    once = ["-bench=" + benchmarks, "-benchmem", f"-benchtime={round(seconds * 1000)}ms"]
    command = chosen.command(every, *once, run="^$")
    workdir = posixpath.normpath(posixpath.join(WORKDIR, chosen.module))
    if base is None:
        line = ["sh", f"{SCRIPTS}/bench", str(times), "", workdir, *command]
    else:
        part = await part_of(
            base, None, every, chosen.tags, chosen.inputs, chosen.setup,
            tests=True, flags=chosen.flags,
        )  # fmt: skip
        container = container.with_mounted_directory(BASE, part)
        beside = posixpath.normpath(posixpath.join(BASE, chosen.module))
        line = ["sh", f"{SCRIPTS}/bench", str(times), beside, workdir, *command]
    files = await container.with_exec(line).directory(OUT).sync()
    return await _results(files, every, compare=base is not None)


async def _results(
    files: dagger.Directory, packages: tuple[str, ...], *, compare: bool
) -> dagger.Directory:
    now = read(await files.file("bench.txt").contents())
    if not now:
        raise UsageError(f"there are no benchmarks in {' '.join(packages)}")
    files = files.with_new_file("bench.json", as_json(now))
    if compare:
        before = read(await files.file("base.txt").contents())
        files = files.with_new_file("compare.txt", compared(before, now))
    return mark_forced(files)
