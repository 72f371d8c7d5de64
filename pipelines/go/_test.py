"""Running tests for what they print."""

from collections.abc import Sequence
from typing import Unpack

from pipelines._dagger import dagger
from pipelines.go._commands import part_of
from pipelines.go._env import env
from pipelines.go._share import printed
from pipelines.go._testing import Choices, Testing

__all__ = ["ready", "test"]


async def test(source: dagger.Directory, *packages: str, **options: Unpack[Testing]) -> str:
    """Run the tests of packages, by default of all; give what `go test` printed.

    Args:
        source: The repository. Its `.git` is left out.
        packages: Packages or patterns; by default `./...`.
        options: run, skip, count, short, timeout, tags, trimpath, flags, inputs (`go.Testing`),
            and those of `env`: version, module, image, cgo, race, goprivate, netrc.

    Raises:
        dagger.ExecError: a test failed; `stdout` has its output, `stderr` the compiler's lines.
        SourceError: there is no go.mod, or no version in it.
    """
    chosen = Choices.of(options)
    every = packages or ("./...",)
    return await printed((await ready(source, every, chosen)).with_exec(chosen.command(every)))


async def ready(
    source: dagger.Directory, packages: Sequence[str], chosen: Choices
) -> dagger.Container:
    """Give a container in which the tests of packages can run, with what they can read."""
    part = await part_of(
        source, None, packages, chosen.tags, chosen.inputs, chosen.setup,
        tests=True, flags=chosen.flags,
    )  # fmt: skip
    return await env(source, inputs=part, **chosen.setup)
