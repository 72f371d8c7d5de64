"""The runner of `op.Rootfs`: an image's layers become snapshot layers.

A chain of diff_ids that was unpacked before is looked up, not unpacked again. A package image
is one layer, under its own digest as the chain.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pipelines.engine.errors import ImageError
from pipelines.engine.images.info import ImageInfo
from pipelines.engine.images.local import Images
from pipelines.engine.op import Rootfs
from pipelines.engine.result import Snapshot
from pipelines.engine.snapshots.base import Snapshots

__all__ = ["Filler", "RootfsRunner"]


class Filler(Protocol):
    """Makes the root filesystems of package images."""

    def fill(self, info: ImageInfo, into: Path) -> None:
        """Make a root filesystem in an empty directory."""
        ...


class RootfsRunner:
    """Gives the snapshot of a pinned image."""

    def __init__(self, images: Images, snapshots: Snapshots, packages: Filler) -> None:
        self._images = images
        self._snapshots = snapshots
        self._packages = packages

    def run(self, op: Rootfs) -> Snapshot:
        """Unpack what is not there yet; blocks.

        Raises:
            ImageError: the image is not known here, or its content can not be had.
        """
        info = self._images.by_digest(op.image)
        if info is None:
            raise ImageError(
                f"image {op.reference or op.image}: pinned to {op.image}, which this store does "
                "not know; resolve the reference again"
            )
        return Snapshot(self._layers(info))

    def _layers(self, info: ImageInfo) -> tuple[str, ...]:
        if info.source == "package":
            return (self._layer(info.digest, lambda into: self._packages.fill(info, into)),)
        raise ImageError(f"image {info.reference}: layers of archives are not unpacked yet")

    def _layer(self, chain: str, fill: Callable[[Path], None]) -> str:
        known = self._images.chain(chain)
        if known is not None and self._snapshots.exists(known):
            return known
        layer = self._snapshots.add(fill)
        self._images.put_chain(chain, layer)
        return layer
