"""The container in which tests run: Go, and of the source what the tests can read.

Tests are compiled with -trimpath, as builds are: the standard library and what is imported is then
compiled once for both, since the flag is in Go's keys. Where the source asks for the path of a file
of its own or of Go, it would get none: there, as with any other `go test`, paths are kept.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipelines._dagger import dagger
from pipelines._given import directory
from pipelines.go._commands import inputs_of
from pipelines.go._env import env
from pipelines.go._inputs import narrowed
from pipelines.go._overlay import overlaid
from pipelines.go._survey import seen
from pipelines.go._testing import Choices, Testing

__all__ = ["chosen_for", "ready"]


async def chosen_for(source: dagger.Directory, options: Testing) -> Choices:
    """Read the choices, and make those that the source decides.

    Raises:
        UsageError: a number can not be.
    """
    chosen = Choices.of(options)
    if chosen.trimpath is not None:
        return chosen
    try:
        asks = (await seen(directory(source))).asks_where
    except dagger.QueryError:  # this engine can not search
        return replace(chosen, trimpath=False)
    return replace(chosen, trimpath=not asks)


async def ready(
    source: dagger.Directory, packages: Sequence[str], chosen: Choices
) -> dagger.Container:
    """Give a container in which the tests of packages can run, with what they can read."""
    found = await inputs_of(
        source, None, packages, chosen.tags, chosen.inputs, chosen.setup,
        tests=True, flags=chosen.flags,
    )  # fmt: skip
    part = await narrowed(source, found, chosen.inputs)
    container = await env(source, inputs=part, **chosen.setup)
    # What Go's own caches do not look at would make them lie.
    return await overlaid(container, source, found, chosen.flags)
