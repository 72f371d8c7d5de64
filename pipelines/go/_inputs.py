"""Input sets: what a command of Go's can read, as a directory.

A command whose source is its input set runs again when one of those files changes, and for no
other reason. The set follows from names and a few lines of the Go files (`_survey`, `_closure`);
the content of the files in it decides, as everywhere.

What was worked out is noted, in two steps, so that little is done again where little is new:

    names, digest of the files that are searched  →  digest of what was seen in them
    what was seen, arguments                      →  the set

A run in which no name, no Go file and no manifest is new asks for two digests and is done; an edit
inside of a function is searched for lines that count, and as there are none it has the set of
before. Every name of a note holds the code that decides, too.
"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines._dagger import dagger
from pipelines._given import patterns, texts
from pipelines._given import platform as taken_platform
from pipelines._memo import noted, noting, once
from pipelines._platform import Platform
from pipelines.go._closure import Inputs, closure, everything
from pipelines.go._constraints import Tags
from pipelines.go._survey import FILES, MANIFESTS, names_of, seen, survey

__all__ = ["NOT_SOURCE", "WHOLE", "inputs", "narrowed", "whole_source"]

WHOLE = Inputs(whole="no packages are named")

NOT_SOURCE = [".git", "**/.git"]
_DECIDING = (
    "_closure.py", "_constraints.py", "_directives.py", "_inputs.py", "_survey.py",
    "../engine/run/searching.py", "../engine/sources/gitignore.py", "../engine/text/search.py",
)  # fmt: skip
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
    platform, packages = taken_platform(platform), patterns(packages)
    tags, flags, more = texts("tags", tags), texts("flags", flags), texts("more", more)
    if "**" in more and not tests:
        return Inputs(whole="it was asked for")
    known = Tags.of(platform, version, cgo=cgo, race=race, chosen=tuple(tags))
    why = _beyond(flags, more)
    whole = await once(source, "go whole source", lambda: whole_source(source))

    async def find() -> dict[str, Any]:
        found = await survey(whole)
        if why:
            return asdict(everything(why, found, module, tests=tests))
        return asdict(closure(found, known, packages or (".",), module=module, tests=tests))

    try:
        if not (noting() and _code()):
            return _inputs(await find())
        about = [await once(whole, "go seen", lambda: _seen(whole)), why, _spelled(known)]
        about += [*(packages or (".",)), "in", module, str(tests)]
        return _inputs(await noted(_name(*about), find))
    except dagger.QueryError as exc:
        failed = f"this engine can not search the source: {exc}"
        return everything(failed, None, module, tests=tests)


def _beyond(flags: Sequence[str], more: Sequence[str]) -> str:
    """Say why everything has to count, whatever the files say; "" if it need not."""
    if "**" in more:
        return "it was asked for"
    for flag in flags:
        if flag.replace("--", "-", 1).startswith(_ELSEWHERE):
            return f"the flag {flag} may name files"
    return ""


def _inputs(document: dict[str, Any]) -> Inputs:
    paths, ignored = tuple(document["paths"]), tuple(document["ignored"])
    return Inputs(paths, document["whole"], document["beyond"], ignored)


async def _seen(source: dagger.Directory) -> str:
    """Digest what a survey follows from, or take it from the note of an equal source."""
    names = await names_of(source)
    searched = source.filter(include=[f"**/{name}" for name in (*FILES, *MANIFESTS)])

    async def look() -> str:
        return (await seen(source)).digest()

    found: str = await noted(_name(*names, "and", await searched.digest()), look)
    return found


def _name(*about: str) -> str:
    """Name the note of what follows from all this by the code that decides."""
    return hashlib.sha256(repr([_code(), *about]).encode("utf-8", "surrogateescape")).hexdigest()


@functools.cache
def _code() -> str:
    """Digest the code that decides, here and in the engine that searches; "" if it has no files."""
    here = Path(__file__).parent
    try:
        return hashlib.sha256(b"".join((here / n).read_bytes() for n in _DECIDING)).hexdigest()
    except OSError:  # installed as bytecode, or in an archive
        return ""


def _spelled(tags: Tags) -> str:
    """Spell what is known of a target, in one way."""
    return repr([tags.os, tags.arch, tags.release, tags.cgo, tags.race, sorted(tags.chosen)])


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
