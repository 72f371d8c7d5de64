"""Go's commands."""
# ruff: noqa: PT028 - `test` is no test

from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

from pipelines._dagger import dagger, knowing_its_id
from pipelines._memo import mark_forced
from pipelines._platform import Platform
from pipelines.go._env import env
from pipelines.go._target import OUT, go_build, go_test, ldflags_with

__all__ = ["Setup", "build", "test"]


class Setup(TypedDict, total=False):
    """The keyword arguments that `build` and `test` pass on to `env`."""

    version: str
    module: str
    image: dagger.Container | None
    cgo: bool
    race: bool
    goprivate: str
    netrc: dagger.Secret | None


async def build(
    source: dagger.Directory,
    platform: Platform | None = None,
    *packages: str,
    ldflags: str = "",
    stamp: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
    trimpath: bool = True,
    output: str = "",
    **setup: Unpack[Setup],
) -> dagger.Directory:
    """Build commands for one platform; give the directory with the executables.

    Args:
        source: The repository. Its `.git` is left out.
        platform: What to build for; by default what Go runs on.
        packages: Packages or patterns such as `./cmd/...`; by default `.`.
        ldflags: Flags for the linker, such as `-s -w`.
        stamp: Values for variables, such as `{"main.version": "1.2.0"}`. Everything stamped
            changes the binary: stamp releases, not every commit.
        tags: Build tags.
        trimpath: Leave this machine's paths out of the binary.
        output: The executable's name, where Go's own is not wanted; `.exe` is added for Windows.
        setup: The arguments of `env`: version, module, image, cgo, race, goprivate, netrc.

    Raises:
        dagger.ExecError: the build failed; `stderr` has the compiler's lines.
        SourceError: there is no go.mod, or no version in it.
    """
    command = go_build(
        packages or (".",),
        platform,
        ldflags=ldflags_with(ldflags, stamp or {}),
        tags=tags,
        trimpath=trimpath,
        race=setup.get("race", False),
        output=output,
    )
    container = await env(source, platform, **setup)
    return mark_forced(knowing_its_id(await container.with_exec(command).directory(OUT).sync()))


async def test(
    source: dagger.Directory,
    *packages: str,
    tags: Sequence[str] = (),
    trimpath: bool = True,
    run: str = "",
    flags: Sequence[str] = (),
    **setup: Unpack[Setup],
) -> str:
    """Run the tests of packages, by default of all; give what `go test` printed.

    Args:
        source: The repository. Its `.git` is left out.
        packages: Packages or patterns; by default `./...`.
        tags: Build tags.
        trimpath: Test what `build` builds. Tests that look for their own source file by its path
            (`runtime.Caller`) need `trimpath=False`.
        run: Only tests whose names match this regular expression.
        flags: More flags of `go test`, such as `-short`, `-count=1`, `-v`.
        setup: The arguments of `env`: version, module, image, cgo, race, goprivate, netrc.

    Raises:
        dagger.ExecError: a test failed; `stdout` has its output, `stderr` the compiler's lines.
        SourceError: there is no go.mod, or no version in it.
    """
    command = go_test(
        packages or ("./...",),
        tags=tags,
        trimpath=trimpath,
        race=setup.get("race", False),
        run=run,
        flags=flags,
    )
    container = await env(source, **setup)
    return await container.with_exec(command).stdout()
