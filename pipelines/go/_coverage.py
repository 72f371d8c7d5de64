"""Coverage of all that ran: profiles of tests, and what programs built with `cover=True` wrote."""

from collections.abc import Sequence
from typing import Unpack

from pipelines._cache import mount
from pipelines._dagger import dagger
from pipelines._errors import StageFailed, UsageError
from pipelines._memo import mark_forced
from pipelines.go._caches import caches
from pipelines.go._commands import Setup
from pipelines.go._env import base, env
from pipelines.go._run import COVERAGE
from pipelines.go._target import OUT
from pipelines.go._tools import GO
from pipelines.report.profiles import Profile, merge, percent, read, summary, write

__all__ = ["coverage"]

PROFILE = f"/in/{COVERAGE}"


async def coverage(
    *ran: dagger.Directory | dagger.File,
    source: dagger.Directory | None = None,
    least: float = 0.0,
    **setup: Unpack[Setup],
) -> dagger.Directory:
    """Merge coverage; give a directory with `coverage.out` and `coverage.txt`, the shares.

    Args:
        ran: Profiles (`coverage.out`), reports of `go.report`, and directories that programs had
            as GOCOVERDIR (`go.build(…, cover=True)`).
        source: The source that was measured; with it, `coverage.html` shows it line by line and
            `coverage.func.txt` has every function.
        least: The share in per cent that must be reached.
        setup: The arguments of `env`, for `source`.

    Raises:
        StageFailed: less was reached.
        UsageError: there is nothing to merge, or it is of different sources.
    """
    profiles = [await _profile(one) for one in ran]
    merged = merge(profile for profile in profiles if profile is not None)
    files = dagger.dag.directory().with_new_file(COVERAGE, write(merged))
    files = files.with_new_file("coverage.txt", summary(merged))
    if source is not None:
        files = await _shown(files, source, setup)
    reached = percent(merged.blocks.values())
    if reached < least:
        raise StageFailed(f"{reached:.1f} % of statements are covered, less than {least:g} %")
    return mark_forced(files)


async def _profile(ran: dagger.Directory | dagger.File) -> Profile | None:
    """Read what one run left; None for a report of tests that measured nothing."""
    if isinstance(ran, dagger.File):
        return read(await ran.contents(), await ran.name())
    names = await ran.entries()
    if COVERAGE in names:
        text = await ran.file(COVERAGE).contents()
        return read(text, COVERAGE) if text else None
    if not any(name.startswith("covmeta.") for name in names):
        if "junit.xml" in names:
            return None
        raise UsageError(f"there is no coverage in a directory with {_listed(names)}")
    container = base(GO).with_(mount(*caches(GO)[1:])).with_mounted_directory("/in/covered", ran)
    command = ["go", "tool", "covdata", "textfmt", "-i=/in/covered", f"-o={OUT}/{COVERAGE}"]
    made = container.with_directory(OUT, dagger.dag.directory()).with_exec(command)
    return read(await made.file(f"{OUT}/{COVERAGE}").contents(), COVERAGE)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) or "nothing in it"


async def _shown(
    files: dagger.Directory, source: dagger.Directory, setup: Setup
) -> dagger.Directory:
    """Add what Go's own tool shows of a profile and the source."""
    container = (await env(source, **setup)).with_mounted_file(PROFILE, files.file(COVERAGE))
    container = container.with_directory(OUT, files)
    for flag, name in (("-html", "coverage.html"), ("-func", "coverage.func.txt")):
        command = ["go", "tool", "cover", f"{flag}={PROFILE}", f"-o={OUT}/{name}"]
        container = container.with_exec(command)
    return await container.directory(OUT).sync()
