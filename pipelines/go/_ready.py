"""The container in which tests run: Go, and of the source what the tests can read."""

from collections.abc import Sequence

from pipelines._dagger import dagger
from pipelines.go._commands import inputs_of
from pipelines.go._env import env
from pipelines.go._inputs import narrowed
from pipelines.go._overlay import overlaid
from pipelines.go._testing import Choices

__all__ = ["ready"]


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
