"""Checks: what is right to say no to. Each raises `StageFailed` with what to change, or says "".

They read what `test` reads (`inputs`), but for `tidy` and `generate`, which may read everything.
"""

import difflib
import posixpath
import re
from collections.abc import Sequence
from typing import Any, Unpack

from pipelines._cache import Cache, mount
from pipelines._dagger import dagger
from pipelines._errors import StageFailed
from pipelines._given import texts
from pipelines._spans import note
from pipelines.go._commands import Setup, inputs_of, part_of
from pipelines.go._diagnosis import diagnosis, explained
from pipelines.go._env import WORKDIR, env
from pipelines.go._inputs import narrowed
from pipelines.go._overlay import digest_of, overlaid
from pipelines.go._target import shared_flags
from pipelines.go._tools import GOLANGCI_LINT, GOVULNCHECK, tool

__all__ = ["generate", "lint", "tidy", "vet", "vulncheck"]

LINT_CACHE = Cache("golangci-lint", "/go/golangci-lint")
DATABASE = "/go/vulnerabilities"
_PLACE = re.compile(
    r"^(?:vet: )?(?P<file>[^\s:]+\.go):(?P<line>\d+):(?:\d+:)? (?P<what>.+)$", re.MULTILINE
)
LONGEST = 20_000  # characters of a difference that are shown


async def vet(
    source: dagger.Directory,
    *packages: str,
    tags: Sequence[str] = (),
    inputs: Sequence[str] = (),
    **setup: Unpack[Setup],
) -> str:
    """Run `go vet`, by default on all packages.

    Raises:
        StageFailed: it found something; the message has its lines.
    """
    every = packages or ("./...",)
    tags = texts("tags", tags)
    # The flags of builds and tests: what they have compiled is then not compiled again.
    command = ["go", "vet", *shared_flags(tags, trimpath=True, race=False), *every]
    found = await inputs_of(source, None, every, tags, inputs, setup, tests=True)
    container = await env(source, inputs=await narrowed(source, found, inputs), **setup)
    return await _checked((await overlaid(container, source, found)).with_exec(command))


async def lint(
    source: dagger.Directory,
    *packages: str,
    program: str = GOLANGCI_LINT,
    flags: Sequence[str] = (),
    inputs: Sequence[str] = (".golangci.*",),
    **setup: Unpack[Setup],
) -> str:
    """Run golangci-lint, by default on all packages, with the configuration of the source.

    Args:
        source: The repository.
        packages: Packages or patterns; by default `./...`.
        program: Which golangci-lint, pinned; it is built by the stage.
        flags: More flags of `golangci-lint run`.
        inputs: Patterns of files that are read besides Go's: the configuration.
        setup: The arguments of `env`.

    Raises:
        StageFailed: it found something; the message has its lines.
    """
    flags, every = texts("flags", flags), packages or ("./...",)
    found = await inputs_of(source, None, every, (), inputs, setup, tests=True)
    part = await narrowed(source, found, inputs)
    container = (await env(source, inputs=part, **setup)).with_(mount(LINT_CACHE))
    cache = posixpath.join(LINT_CACHE.path, await digest_of(source, found))
    container = container.with_env_variable("GOLANGCI_LINT_CACHE", cache.rstrip("/"))
    container = container.with_mounted_file("/usr/local/bin/golangci-lint", tool(program))
    return await _checked(container.with_exec(["golangci-lint", "run", *flags, *every]))


async def vulncheck(
    source: dagger.Directory,
    *packages: str,
    program: str = GOVULNCHECK,
    database: dagger.Directory | None = None,
    inputs: Sequence[str] = (),
    **setup: Unpack[Setup],
) -> str:
    """Run govulncheck: which known vulnerabilities the packages' code reaches.

    Args:
        source: The repository.
        packages: Packages or patterns; by default `./...`.
        program: Which govulncheck, pinned; it is built by the stage.
        database: A copy of the vulnerability database, for machines without a way to it and for
            results that are the same tomorrow; by default the one that govulncheck asks.
        inputs: Patterns of files that are read and not found (`go.inputs`).
        setup: The arguments of `env`.

    Raises:
        StageFailed: it found something; the message has its lines.
    """
    every = packages or ("./...",)
    part = await part_of(source, None, every, (), inputs, setup, tests=True)
    container = await env(source, inputs=part, **setup)
    container = container.with_mounted_file("/usr/local/bin/govulncheck", tool(program))
    command = ["govulncheck", *every]
    if database is not None:
        container = container.with_mounted_directory(DATABASE, database)
        command[1:1] = ["-db", f"file://{DATABASE}"]
    return await _checked(container.with_exec(command))


async def tidy(source: dagger.Directory, **setup: Unpack[Setup]) -> str:
    """Check that go.mod and go.sum are as `go mod tidy` leaves them.

    Raises:
        StageFailed: they are not; the message has the difference.
        dagger.ExecError: `go mod tidy` itself failed.
    """
    container = (await env(source, **setup)).with_exec(["go", "mod", "tidy"])
    with explained():
        await container.sync()
    after = container.directory(posixpath.join(WORKDIR, setup.get("module", ".")))
    before = source.directory(setup.get("module", "."))
    names = ("go.mod", "go.sum")
    texts = [[await _text(tree, name) for tree in (before, after)] for name in names]
    found = "".join(_difference(name, *text) for name, text in zip(names, texts, strict=True))
    if found:
        raise StageFailed(f"go.mod is not tidy; run `go mod tidy`:\n{_shown(found)}")
    return ""


async def generate(
    source: dagger.Directory, *packages: str, flags: Sequence[str] = (), **setup: Unpack[Setup]
) -> str:
    """Check that `go generate` changes nothing, by default in all packages.

    Raises:
        StageFailed: it does; the message has the difference.
        dagger.ExecError: a generator failed.
    """
    flags = texts("flags", flags)
    container = await env(source, **setup)
    before = container.directory(WORKDIR)
    ran = container.with_exec(["go", "generate", *flags, *(packages or ("./...",))])
    changes = ran.directory(WORKDIR).changes(before)
    if await changes.is_empty():
        return ""
    patch = await changes.as_patch().contents()
    raise StageFailed(f"generated files are not up to date; run `go generate`:\n{_shown(patch)}")


async def _checked(container: dagger.Container) -> str:
    try:
        return await container.stdout()
    except dagger.ExecError as error:
        if (known := diagnosis(error.stderr)) is not None:
            raise known from error
        said = "\n".join(text for text in (error.stdout, error.stderr) if text.strip())
        name = error.command[0] if error.command[:1] != ["go"] else "go vet"
        note(annotations=places(said, name))
        raise StageFailed(f"{name} failed:\n{said.rstrip()}") from error


def places(said: str, title: str) -> list[dict[str, Any]]:
    """Find the places that a check's output names, as annotations of lines."""
    return [
        {
            "file": found["file"],
            "line": int(found["line"]),
            "title": title,
            "message": found["what"],
        }
        for found in _PLACE.finditer(said)
    ]


async def _text(tree: dagger.Directory, name: str) -> str:
    """Read a file; one that is not there is empty."""
    return await tree.file(name).contents() if name in await tree.entries() else ""


def _difference(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(lines)


def _shown(text: str) -> str:
    left_out = len(text) - LONGEST
    return text.rstrip() if left_out <= 0 else f"{text[:LONGEST]}\n[{left_out} characters left out]"
