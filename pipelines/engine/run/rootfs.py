"""The runner of `op.Rootfs`: an image's layers become snapshot layers.

A chain of diff_ids that was unpacked before is looked up, not unpacked again. It is the chain
and not the diff_id that names the result, because a layer is unpacked onto those below it: it
may go through their links. A part of a package image is a layer, named by its recipe and by the
layers below it; two images that share parts wait for one another instead of making them twice.

Layers of a registry are fetched now, and only those whose chain is not here: the first is
unpacked while it comes, and while the next ones come. What is unpacked appears only after its
last byte was right. A layer that was not what its digest says is fetched once more, from the
registry itself.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.errors import ContentMissing, ImageError, RegistryMismatch
from pipelines.engine.images.ahead import Ahead
from pipelines.engine.images.compression import decompressing
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import Images, chain_id
from pipelines.engine.images.unpack import unpack
from pipelines.engine.op import Rootfs
from pipelines.engine.result import Snapshot
from pipelines.engine.snapshots.base import Snapshots
from pipelines.engine.store.flocks import FileLock

__all__ = ["Fetches", "Filler", "Part", "RootfsRunner"]

Opener = Callable[[Layer], BinaryIO]
_CHUNK = 1 << 20


_PAUSE = 0.05  # seconds until a part that another is making is asked for again


class Part(Protocol):
    """One layer of a package image."""

    @property
    def digest(self) -> Digest:
        """The digest of its recipe, with those of all below it."""
        ...

    @property
    def fill(self) -> Callable[[Path], None]:
        """Makes it, in an empty directory or in a root filesystem that shows what is below."""
        ...


class Filler(Protocol):
    """Makes the root filesystems of package images."""

    def parts(self, info: ImageInfo) -> Sequence[Part]:
        """Give the layers, lowest first."""
        ...


class Fetches(Protocol):
    """Fetches the layers of images from registries."""

    def fetching(
        self, reference: str, layers: Sequence[Layer], *, again: bool = False
    ) -> AbstractContextManager[Opener]:
        """Begin to fetch what is missing; give a function that opens a layer as it comes.

        `again` says that what came before was wrong.
        """
        ...


class RootfsRunner:
    """Gives the snapshot of a pinned image."""

    def __init__(
        self,
        images: Images,
        snapshots: Snapshots,
        packages: Filler,
        registries: Fetches,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._images = images
        self._snapshots = snapshots
        self._packages = packages
        self._registries = registries
        self._alive = alive

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
            return Snapshot(self._parts(self._packages.parts(info)))
        # The name that this session asked for is where it may pull from.
        pulled = info.source == "registry" and op.reference
        image = info.named(op.reference) if pulled else info
        try:
            return Snapshot(self._layers(image))
        except RegistryMismatch:
            return Snapshot(self._layers(image, again=True))

    def _parts(self, parts: Sequence[Part]) -> tuple[str, ...]:
        done: tuple[str, ...] = ()
        for part in parts:
            chain = digest_json(["upon", part.digest, *done]) if done else part.digest
            with self._alone(chain):
                if (known := self._known(chain)) is not None:
                    done += (known,)
                elif done:
                    done = self._upon(done, part)
                    self._images.put_chain(chain, done[-1])
                else:
                    done = (self._layer(chain, part.fill),)
        return done

    def _upon(self, below: tuple[str, ...], part: Part) -> tuple[str, ...]:
        """Make a layer in a root filesystem that shows those below it."""
        active = self._snapshots.prepare(below)
        try:
            part.fill(active.path)
        except BaseException:
            self._snapshots.discard(active)
            raise
        made = self._snapshots.commit(active)
        if made == below:
            raise ImageError(f"a part of a package image ({part.digest}) changed nothing")
        return made

    @contextmanager
    def _alone(self, chain: str) -> Iterator[None]:
        """Hold a part, against other threads and other processes on this store."""
        place = self._images.root / "making"
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / chain.removeprefix("sha256:"))
        try:
            while not lock.attempt():
                self._alive()
                time.sleep(_PAUSE)
            yield
        finally:
            lock.close()

    def _layers(self, info: ImageInfo, *, again: bool = False) -> tuple[str, ...]:
        diff_ids = [layer.diff_id for layer in info.layers]
        chains = [chain_id(tuple(diff_ids[: n + 1])) for n in range(len(diff_ids))]
        known = [self._known(chain) for chain in chains]
        missing = [x for x, there in zip(info.layers, known, strict=True) if there is None]
        done: tuple[str, ...] = ()
        with self._opening(info, missing, again=again) as opened:
            for layer, chain in zip(info.layers, chains, strict=True):
                done += (self._layer(chain, *self._unpacking(info, layer, done, opened)),)
        return done

    @contextmanager
    def _opening(
        self, info: ImageInfo, missing: Sequence[Layer], *, again: bool
    ) -> Iterator[Opener]:
        if info.source == "registry" and missing:
            with self._registries.fetching(info.reference, missing, again=again) as opened:
                yield opened
        else:
            yield lambda layer: self._images.blobs.open(layer.blob)

    def _known(self, chain: str) -> str | None:
        known = self._images.chain(chain)
        return known if known is not None and self._snapshots.exists(known) else None

    def _layer(
        self, chain: str, fill: Callable[[Path], None], known: Mapping[str, str] | None = None
    ) -> str:
        if (there := self._known(chain)) is not None:
            return there
        layer = self._snapshots.add(fill, known=known)
        self._images.put_chain(chain, layer)
        return layer

    def _unpacking(
        self, info: ImageInfo, layer: Layer, below: tuple[str, ...], opened: Opener
    ) -> tuple[Callable[[Path], None], Mapping[str, str]]:
        """Give what fills a layer, and the hashes that are known once it has."""
        known: dict[str, str] = {}

        def fill(into: Path) -> None:
            if below:
                with self._snapshots.view(below) as lower:
                    known.update(self._unpack(info, layer, into, lower, opened))
            else:
                with tempfile.TemporaryDirectory() as empty:
                    # A layer that says nothing of its root takes the root of what is below.
                    Path(empty).chmod(0o755)
                    known.update(self._unpack(info, layer, into, Path(empty), opened))

        return fill, known

    def _unpack(
        self, info: ImageInfo, layer: Layer, into: Path, lower: Path, opened: Opener
    ) -> Mapping[str, str]:
        try:
            file = opened(layer)
        except ContentMissing as exc:
            raise ContentMissing(
                f"image {info.reference}: its layer {layer.blob} is not in the store any more; "
                "import the archive again"
            ) from exc
        with file:
            try:
                interrupt = getattr(file, "interrupt", lambda: None)
                with Ahead(decompressing(file), self._alive, interrupt) as ahead:
                    limits = self._images.limits
                    found = unpack(ahead.read, into, lower, limits, digest=lambda: ahead.digest)
            except ImageError:
                # Damaged, or damaged on its way? The last read knows, and says so.
                while file.read(_CHUNK):
                    pass
                raise
        if found.diff_id != layer.diff_id:
            raise ImageError(
                f"image {info.reference}: a layer unpacks to {found.diff_id}, and the image's "
                f"config says {layer.diff_id}; the image is damaged"
            )
        return found.hashes
