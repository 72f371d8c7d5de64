"""The container in which tests run: Go, and of the source what the tests can read."""

from collections.abc import Sequence

from pipelines._dagger import dagger
from pipelines.go._commands import part_of
from pipelines.go._env import env
from pipelines.go._testing import Choices

__all__ = ["ready"]


async def ready(
    source: dagger.Directory, packages: Sequence[str], chosen: Choices
) -> dagger.Container:
    """Give a container in which the tests of packages can run, with what they can read."""
    part = await part_of(
        source, None, packages, chosen.tags, chosen.inputs, chosen.setup,
        tests=True, flags=chosen.flags,
    )  # fmt: skip
    return await env(source, inputs=part, **chosen.setup)
