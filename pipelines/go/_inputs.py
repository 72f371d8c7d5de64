"""Input sets: what a command of Go's can read, as a directory.

A command whose source is its input set runs again when one of those files changes, and for no
other reason. The set is taken anew in every run, from names and a few lines of the Go files
(`_survey`, `_closure`); the content of the files decides, as everywhere.
"""

from collections.abc import Sequence

from pipelines._dagger import dagger
from pipelines._memo import once
from pipelines._platform import Platform
from pipelines.go._closure import Inputs, closure, everything
from pipelines.go._constraints import Tags
from pipelines.go._survey import survey

__all__ = ["NOT_SOURCE", "WHOLE", "inputs", "narrowed", "whole_source"]

WHOLE = Inputs(whole="no packages are named")

NOT_SOURCE = [".git", "**/.git"]
# Flags that make Go read files that nothing in the source names, or choose other ones.
_ELSEWHERE = (
    "-C", "-args", "-asan", "-asmflags", "-compiler", "-coverpkg", "-exec", "-gccgoflags",
    "-gcflags", "-mod", "-msan", "-overlay", "-pgo", "-race", "-tags", "-toolexec", "-vettool",
)  # fmt: skip


async def inputs(
    source: dagger.Directory,
    platform: Platform | None = None,
    *packages: str,
    tests: bool = False,
    module: str = ".",
    version: str = "",
    tags: Sequence[str] = (),
    flags: Sequence[str] = (),
    cgo: bool = False,
    race: bool = False,
    more: Sequence[str] = (),
) -> Inputs:
    """Give the files that a build of packages for a platform can read, or with `tests` their tests.

    In doubt more: `whole` says why if every file of the source has to count as read, which is so
    too where the engine can not search, and where `more` has `**`.
    """
    if "**" in more and not tests:
        return Inputs(whole="it was asked for")
    try:
        found = await survey(await once(source, "go whole source", lambda: whole_source(source)))
    except dagger.QueryError as exc:
        why = f"this engine can not search the source: {exc}"
        return everything(why, None, module, tests=tests)
    if "**" in more:
        return everything("it was asked for", found, module, tests=tests)
    for flag in flags:
        if flag.replace("--", "-", 1).startswith(_ELSEWHERE):
            return everything(f"the flag {flag} may name files", found, module, tests=tests)
    known = Tags.of(platform, version, cgo=cgo, race=race, chosen=tuple(tags))
    return closure(found, known, packages or (".",), module=module, tests=tests)


async def narrowed(
    source: dagger.Directory, found: Inputs, more: Sequence[str]
) -> dagger.Directory:
    """Give the part of a source that is in an input set or matches one of `more`."""
    if found.whole:
        return await once(source, "go whole source", lambda: whole_source(source))
    include = [*found.paths, *more]
    # Targets that read the same files share one directory: one question, one layer.
    return await once(source, f"go part {include}", lambda: _part(source, include))


async def _part(source: dagger.Directory, include: list[str]) -> dagger.Directory:
    return source.filter(include=include, exclude=NOT_SOURCE)


async def whole_source(source: dagger.Directory) -> dagger.Directory:
    """Give a source without what is never an input of a command."""
    return source.filter(exclude=NOT_SOURCE)
