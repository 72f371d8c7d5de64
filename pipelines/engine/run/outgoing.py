"""Images that leave the engine: most sessions never do that, so it is imported when asked for.

An archive is a file of the graph (`run.archive`). What is published (`run.publish`), written to a
directory of the host (`run.layout`) or loaded into its container runtime (`run.runtime`)
happens every time that it is asked for, and is never answered by a record.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from pipelines.engine.errors import ImageError
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import Images
from pipelines.engine.images.reference import Reference
from pipelines.engine.op import Archive, Edge, Rootfs
from pipelines.engine.result import Result, Snapshot
from pipelines.engine.store.files import Files
from pipelines.engine.tree import Tree

if TYPE_CHECKING:
    from pipelines.engine.images.registry.client import Client
    from pipelines.engine.run.compose import Composed, Composer

__all__ = ["Host", "Outgoing", "Speaks"]

_CHUNK = 1 << 20


class Speaks(Protocol):
    """The registries of the session."""

    @property
    def client(self) -> "Client":
        """What asks them."""
        ...

    def at(self, host: str, address: tuple[str, int]) -> AbstractContextManager["Speaks"]:
        """Speak to a registry that is a service at an address."""
        ...

    def fetching(
        self, reference: str, layers: Sequence[Layer]
    ) -> AbstractContextManager[Callable[[Layer], BinaryIO]]:
        """Begin to fetch layers that are missing; give a function that opens one."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """The host, as far as images go there; `root` says that this is really root."""

    workdir: Path
    platform: str
    environ: Mapping[str, str]
    root: bool


class Outgoing:
    """Writes images; `shelf` is the directory of the snapshots' layers."""

    def __init__(
        self,
        images: Images,
        shelf: Path,
        files: Files,
        registries: Speaks,
        alive: Callable[[], None],
    ) -> None:
        self._images = images
        self._shelf = shelf
        self._files = files
        self._registries = registries
        self._alive = alive

    @cached_property
    def _composer(self) -> "Composer":
        from pipelines.engine.run.compose import Composer

        return Composer(self._images, self._shelf, self._files, self._fetched, self._alive)

    def _fetched(self, info: ImageInfo, layer: Layer) -> Path:
        """Bring a layer of an image here."""
        if info.source != "registry" or self._images.blobs.has(layer.blob):
            return self._images.local(info, layer)
        with self._registries.fetching(info.reference, [layer]) as opened, opened(layer) as file:
            while file.read(_CHUNK):
                pass
        return self._images.local(info, layer)

    def archive(self, op: Archive, inputs: Sequence[Result]) -> Tree:
        """Run an `Archive`; blocks."""
        from pipelines.engine.run.archive import ArchiveRunner

        return ArchiveRunner(self._composer, self._images, self._files).run(op, inputs)

    def whole(self, root: Edge) -> bool:
        """Tell whether a root is an image as it came, so that its files need not be here."""
        info = self._images.by_digest(root.op.image) if isinstance(root.op, Rootfs) else None
        return info is not None and bool(info.layers)

    def publish(
        self,
        op: Archive,
        roots: Sequence[Tree | Snapshot | None],
        ref: Reference,
        at: tuple[str, int] | None,
        ended: threading.Event,
    ) -> str:
        """Push what an `Archive` would hold; give its reference with the digest. Blocks.

        `at` is where the registry is if it is a service.
        """
        from pipelines.engine.run.publish import publish

        composed = self._composed(op, roots)
        if at is None:
            return publish(composed, self._composer, ref, self._registries.client, ended)
        with self._registries.at(ref.host, at) as there:
            return publish(composed, self._composer, ref, there.client, ended)

    def export(
        self, op: Archive, roots: Sequence[Tree | Snapshot | None], name: str, host: Host
    ) -> None:
        """Write what an `Archive` would hold to the host, as its name says. Blocks.

        Raises:
            ImageError: there is no runtime to load it into.
        """
        from pipelines.engine.run.layout import write_layout
        from pipelines.engine.run.names import destination, place
        from pipelines.engine.run.runtime import find_runtime

        if (at := place(name, host.workdir)) is not None:
            write_layout(self._composed(op, roots), self._composer, at.path, at.tag)
            return
        ref = destination("exportImage", name)
        runtime = find_runtime(host.environ, host.platform, root=host.root)
        if runtime is None:
            raise ImageError(
                f"exportImage {name}: no container runtime answers here (docker, podman or "
                "nerdctl); start one, or give a path to write an OCI layout: "
                f"./images:{ref.tag}"
            )
        composed = self._composed(op, roots)
        runtime.load(composed, self._composer.places(composed), ref)

    def _composed(self, op: Archive, roots: Sequence[Tree | Snapshot | None]) -> "Composed":
        from pipelines.engine.run.compose import form

        wanted = form(op.compression, op.media_types, op.epoch)
        return self._composer.compose(op.variants, roots, wanted)
