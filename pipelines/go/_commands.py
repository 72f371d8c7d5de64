"""Building, and which part of a source a command of Go's reads."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, TypedDict, Unpack

from pipelines._dagger import dagger, knowing_its_id
from pipelines._given import patterns, stamps, text, texts
from pipelines._given import platform as taken_platform
from pipelines._memo import mark_forced
from pipelines._platform import Platform
from pipelines._spans import note
from pipelines.go._closure import Inputs
from pipelines.go._diagnosis import CompilerMissing, explained
from pipelines.go._env import env
from pipelines.go._inputs import inputs as input_set
from pipelines.go._inputs import narrowed
from pipelines.go._kept import keeping, slot
from pipelines.go._project import inspect
from pipelines.go._target import OUT, go_build, ldflags_with, tagged
from pipelines.go._zig import Zig

__all__ = ["Setup", "build", "inputs_of", "part_of"]


class Setup(TypedDict, total=False):
    """The keyword arguments that commands pass on to `env`."""

    version: str
    module: str
    image: dagger.Container | None
    cgo: bool | Literal["zig"] | Zig
    race: bool
    goprivate: str
    netrc: dagger.Secret | None
    proxy: dagger.Service | None


async def build(
    source: dagger.Directory,
    platform: Platform | None = None,
    *packages: str,
    ldflags: str = "",
    stamp: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
    trimpath: bool = True,
    output: str = "",
    cover: bool = False,
    inputs: Sequence[str] = (),
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
        cover: Build programs that write what of them runs to GOCOVERDIR (`go.coverage`).
        inputs: Patterns of files that the build reads and Go's own rules do not show; `**` for
            the whole source. What it reads otherwise is found (`go.inputs`).
        setup: The arguments of `env`: version, module, image, cgo, race, goprivate, netrc, proxy.

    Raises:
        dagger.ExecError: the build failed; `stderr` has the compiler's lines.
        StageFailed, UsageError, InfrastructureError, CacheIntegrityError: it failed for a reason
            that is known and whose way out the message says (docs/guides/go-errors.md).
        SourceError: there is no go.mod, or no version in it.
    """
    platform, packages = taken_platform(platform), patterns(packages)
    tags, inputs = texts("tags", tags), texts("inputs", inputs)
    ldflags, output = text("ldflags", ldflags, "-s -w"), text("output", output, "crane")
    command = partial(
        go_build, packages or (".",), platform, tags=tags, trimpath=trimpath,
        race=setup.get("race", False), cover=cover, output=output,
    )  # fmt: skip
    line = command(ldflags=ldflags_with(ldflags, stamps(stamp)))
    if not (setup.get("cgo") or setup.get("race")):
        project = await inspect(source, setup.get("module", "."))
        line = keeping(line, slot(project, command(ldflags=ldflags)))
    part = await part_of(source, platform, packages, tags, inputs, setup)
    container = await env(source, platform, inputs=part, **setup)
    return await _made(container.with_exec(line), container, packages, tags)


async def _made(
    ran: dagger.Container,
    container: dagger.Container,
    packages: Sequence[str],
    tags: Sequence[str],
) -> dagger.Directory:
    """Force a build; one that fails is told as what it is."""
    try:
        with explained():
            made = await ran.directory(OUT).sync()
    except CompilerMissing as error:
        raise await _needing_c(container, packages, tags, error) from error
    return mark_forced(knowing_its_id(made))


async def _needing_c(
    container: dagger.Container,
    packages: Sequence[str],
    tags: Sequence[str],
    error: CompilerMissing,
) -> CompilerMissing:
    """Say which packages the missing compiler is for."""
    asked = "{{if and .CgoFiles (not .Standard)}}{{.ImportPath}}{{end}}"
    line = ["go", "list", "-deps", "-f", asked, *tagged(tags), *(packages or (".",))]
    ran = container.with_exec(line, expect=dagger.ReturnType.ANY)
    names = [name for name in (await ran.stdout()).split("\n") if name]
    what = f"C is in: {', '.join(names)}" if names else "only the standard library has C here"
    return CompilerMissing(f"{what}; {error}")


async def part_of(  # noqa: PLR0917
    source: dagger.Directory,
    platform: Platform | None,
    packages: Sequence[str],
    tags: Sequence[str],
    more: Sequence[str],
    setup: Setup,
    *,
    tests: bool = False,
    flags: Sequence[str] = (),
) -> dagger.Directory:
    """Give the part of the source that a command can read."""
    found = await inputs_of(source, platform, packages, tags, more, setup, tests=tests, flags=flags)
    return await narrowed(source, found, more)


async def inputs_of(  # noqa: PLR0917
    source: dagger.Directory,
    platform: Platform | None,
    packages: Sequence[str],
    tags: Sequence[str],
    more: Sequence[str],
    setup: Setup,
    *,
    tests: bool = False,
    flags: Sequence[str] = (),
) -> Inputs:
    """Find what a command can read, and say so in the report of the run."""
    more = texts("inputs", more)  # the rest is looked at where the set is found
    module = setup.get("module", ".")
    project = await inspect(source, module)
    # The Go of another image is not known.
    chosen = text("version", setup.get("version", ""), "1.26")
    version = "" if setup.get("image") else chosen or project.version
    found = await input_set(
        source,
        platform,
        *packages,
        tests=tests,
        module=project.module,
        version=version,
        tags=tags,
        flags=flags,
        cgo=bool(setup.get("cgo", False)),
        race=setup.get("race", False),
        more=more,
    )
    what = f"go {'test' if tests else 'build'} {' '.join(packages or ('.',))}"
    name = f"{what} for {platform}" if platform else what
    note(inputs=name, whole=found.whole, paths=[*found.paths, *more])
    return found
