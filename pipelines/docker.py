"""Dockerfiles as builders: no Docker is needed for them.

    image = docker.build(source, Platform("linux", "arm64"), args={"VERSION": "1.2.0"})
    await image.publish("registry.example.com/service:1.2.0")

A Dockerfile stays what it is; what its instructions make is cached by content, as all else is. For
Go, `go.build` is quicker than the best Dockerfile: see the guide.
"""

from collections.abc import Mapping, Sequence

from pipelines._dagger import dagger
from pipelines._errors import UsageError
from pipelines._platform import Platform

__all__ = ["build"]


def build(
    source: dagger.Directory,
    platform: Platform | None = None,
    *,
    dockerfile: str = "Dockerfile",
    target: str = "",
    args: Mapping[str, str] | None = None,
    secrets: Sequence[dagger.Secret] = (),
) -> dagger.Container:
    """Extend the graph by what a Dockerfile says; give the container of its last stage.

    Args:
        source: The directory that is built: what COPY sees, less what .dockerignore leaves out.
        platform: What to build for; by default what the engine runs on. BUILDPLATFORM is always
            the latter.
        dockerfile: The Dockerfile's path in `source`.
        target: The stage to build, by name or number; by default the last. Stages that it does
            not need are not built.
        args: Values for ARG. One that no ARG declares is told in a warning.
        secrets: For `RUN --mount=type=secret,id=…`, found by the name that they were set by, or
            by the last part of their address (`env://NAME`).

    Raises:
        UsageError: an argument's name is empty or has "=" in it.
    """
    pairs = dict(args or {})
    for name in pairs:
        if not name or "=" in name:
            raise UsageError(f"args: {name!r} is no name of a build argument")
    return source.docker_build(
        dockerfile=dockerfile,
        platform=platform,
        build_args=[dagger.BuildArg(name, value) for name, value in pairs.items()],
        target=target,
        secrets=list(secrets),
    )
