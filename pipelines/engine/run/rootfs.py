"""The runner of `op.Rootfs`: an image's layers become snapshot layers.

A chain of diff_ids that was unpacked before is looked up, not unpacked again. It is the chain
and not the diff_id that names the result, because a layer is unpacked onto those below it: it
may go through their links. A package image is one layer, with its own digest as the chain.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pipelines.engine.errors import ContentMissing, ImageError
from pipelines.engine.images.compression import decompressing
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import Images, chain_id
from pipelines.engine.images.unpack import unpack
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
        if info.source == "package":
            fill = self._packages.fill
            return Snapshot((self._layer(info.digest, lambda into: fill(info, into)),))
        return Snapshot(self._layers(info))

    def _layers(self, info: ImageInfo) -> tuple[str, ...]:
        done: tuple[str, ...] = ()
        for number, layer in enumerate(info.layers):
            chain = chain_id(tuple(each.diff_id for each in info.layers[: number + 1]))
            done += (self._layer(chain, self._unpacking(info, layer, done)),)
        return done

    def _layer(self, chain: str, fill: Callable[[Path], None]) -> str:
        known = self._images.chain(chain)
        if known is not None and self._snapshots.exists(known):
            return known
        layer = self._snapshots.add(fill)
        self._images.put_chain(chain, layer)
        return layer

    def _unpacking(
        self, info: ImageInfo, layer: Layer, below: tuple[str, ...]
    ) -> Callable[[Path], None]:
        def fill(into: Path) -> None:
            if below:
                with self._snapshots.view(below) as lower:
                    self._unpack(info, layer, into, lower)
            else:
                with tempfile.TemporaryDirectory() as empty:
                    # A layer that says nothing of its root takes the root of what is below.
                    Path(empty).chmod(0o755)
                    self._unpack(info, layer, into, Path(empty))

        return fill

    def _unpack(self, info: ImageInfo, layer: Layer, into: Path, lower: Path) -> None:
        try:
            file = self._images.blobs.path(layer.blob).open("rb", buffering=0)
        except FileNotFoundError as exc:
            raise ContentMissing(
                f"image {info.reference}: its layer {layer.blob} is not in the store any more; "
                "import the archive again"
            ) from exc
        with file:
            found = unpack(decompressing(file), into, lower)
        if found.diff_id != layer.diff_id:
            raise ImageError(
                f"image {info.reference}: a layer unpacks to {found.diff_id}, and the image's "
                f"config says {layer.diff_id}; the image is damaged"
            )
