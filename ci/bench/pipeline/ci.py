"""Build one command of a Go module for several platforms, and test it: what the bench times."""

from dagger import Directory

from pipelines import Platform, dist, gather, go

__all__ = ["release", "test"]


async def release(
    source: Directory, command: str, version: str, targets: str, stamp: str = ""
) -> Directory:
    """Build `command` with Go `version` for every target; `stamp` is variable=value."""
    flags = "-s -w"
    name, _, value = stamp.partition("=")
    stamps = {name: value} if stamp else {}
    platforms = [Platform.parse(target) for target in targets.split(",")]
    return dist(
        await gather(
            {
                p: go.build(source, p, command, ldflags=flags, version=version, stamp=stamps)
                for p in platforms
            }
        )
    )


async def test(source: Directory, packages: str, version: str) -> str:
    """Test packages with Go `version`; give what `go test` printed."""
    return await go.test(source, *packages.split(","), version=version)
