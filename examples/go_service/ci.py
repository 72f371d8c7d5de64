"""Test golinks and cross-compile it for six platforms."""

from dagger import Directory

from pipelines import Platform, dist, gather, go, matrix, stage

__all__ = ["build", "release", "test"]

TARGETS = matrix(Platform, os=["linux", "darwin", "windows"], arch=["amd64", "arm64"])
VERSION = "example.com/golinks/internal/version.Version"


@stage(timeout=600)
async def test(source: Directory) -> str:
    """Run the unit tests."""
    return await go.test(source)


@stage(timeout=900)
async def build(source: Directory, platform: Platform, version: str = "dev") -> Directory:
    """Cross-compile golinks for one platform."""
    return await go.build(source, platform, "./cmd/...", stamp={VERSION: version})


async def release(source: Directory, version: str = "dev") -> Directory:
    """Test, then build every platform."""
    await test(source)
    return dist(await gather({p: build(source, p, version) for p in TARGETS}))
