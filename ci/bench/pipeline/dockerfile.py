"""Build a Dockerfile: what the bench times."""

from dagger import Directory

from pipelines import docker

__all__ = ["image"]


async def image(source: Directory) -> Directory:
    """Build the Dockerfile of a directory and give the image's files."""
    return docker.build(source).rootfs()
