"""Build one command of a Go module for six platforms: what the bench times."""

from dagger import Directory

from pipelines import Platform, dist, gather, go, matrix

__all__ = ["release"]

TARGETS = matrix(Platform, os=["linux", "darwin", "windows"], arch=["amd64", "arm64"])


async def release(source: Directory, command: str, version: str) -> Directory:
    """Build `command` with Go `version` for every target."""
    flags = "-s -w"
    return dist(
        await gather(
            {p: go.build(source, p, command, ldflags=flags, version=version) for p in TARGETS}
        )
    )
