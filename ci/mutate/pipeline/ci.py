"""Test a Go module and build its commands: what `ci.mutate` compares with an uncached run."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import dagger
from dagger import Directory, dag

from pipelines import PipelineError, Platform, gather, go, stage

__all__ = ["check", "tests"]

V = TypeVar("V")


@stage
async def test(source: Directory, packages: tuple[str, ...], **options: Any) -> str:
    """Run the tests."""
    return await go.test(source, *packages, **options)


@stage
async def build(source: Directory, platform: Platform, package: str, **options: Any) -> Directory:
    """Build one command for one platform."""
    return await go.build(source, platform, package, **options)


async def check(  # noqa: PLR0917 - flags
    source: Directory,
    targets: str,
    version: str,
    packages: str = "./...",
    tags: str = "",
    stamp: str = "",
    private: str = "",
) -> Directory:
    """Test, and build every target (`linux/amd64 ./cmd/x, …`); what fails is an answer, too."""
    shared = {
        "version": version,
        "tags": tuple(filter(None, tags.split(","))),
        "goprivate": private,
    }
    stamps = {"main.version": stamp} if stamp else {}
    work: dict[str, Coroutine[Any, Any, Any]] = {
        "test": _said(test(source, tuple(packages.split()), **shared))
    }
    for name in targets.split(","):
        platform, package = name.split()
        made = build(source, Platform.parse(platform), package, stamp=stamps, **shared)
        work[name] = _attempted(made)
    found = await gather(work)
    tests: str = found.pop("test")
    out = dag.directory().with_new_file("tests.txt", tests)
    for name, built in found.items():
        if built is not None:
            out = out.with_directory(name.replace("/", "_").replace(" ", "-"), built)
    return out


async def tests(source: Directory, version: str) -> str:
    """Run the tests of all packages."""
    return await go.test(source, version=version)


async def _attempted(work: Coroutine[Any, Any, V]) -> V | None:
    try:
        return await work
    except (dagger.ExecError, PipelineError):
        return None


async def _said(work: Coroutine[Any, Any, str]) -> str:
    """Give what tests printed, and how they ended."""
    try:
        return f"{await work}\nexit 0\n"
    except dagger.ExecError as error:
        return f"{error.stdout}\nexit {error.exit_code}\n"
    except PipelineError as error:  # what Go refused; the other packages' tests ran
        cause = error.__cause__
        printed = cause.stdout if isinstance(cause, dagger.ExecError) else ""
        return f"{error}\n{printed}\nexit 1\n"
