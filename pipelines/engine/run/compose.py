"""Put images together: what a root filesystem and a config become as blobs and documents.

Theory of operation
    The layers of the image that a root was made from keep their bytes, as long as they are
    still the lowest layers and no other compression is forced: what was pushed once is not
    pushed again, and may not even be here. Which image that was is said by the graph and not
    looked up in the store, so that the same graph gives the same bytes in every store.

    All other layers are packed (`layers.py`), compressed and digested in one pass, once for
    each compression and time; the result is remembered by layer id. All that enters a blob is
    in what names it, so an image is a function of its graph and `SOURCE_DATE_EPOCH`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pipelines.engine.digest import Digest, canonical, digest_bytes
from pipelines.engine.errors import ImageError
from pipelines.engine.images.blobs import NewBlob
from pipelines.engine.images.compression import (
    Compression,
    Compressor,
    compressor,
    decompressing,
)
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import Images, chain_id
from pipelines.engine.images.model import (
    Descriptor,
    Index,
    Manifest,
    MediaTypes,
    compression_of,
    load,
    media_types,
    platform_of,
    with_layers,
)
from pipelines.engine.images.pack import Item, pack
from pipelines.engine.op import Variant
from pipelines.engine.result import Snapshot
from pipelines.engine.run.layers import layer_items, tree_items
from pipelines.engine.tree import Entry, Tree

__all__ = ["Composed", "Composer", "Form", "Image", "form"]

_CHUNK = 1 << 20
_PACKED = "packed 2"  # another number when the same layer would be packed to other bytes
_COMPRESSIONS: Mapping[str, Compression] = {
    "gzip": "Gzip",
    "zstd": "Zstd",
    "uncompressed": "Uncompressed",
}


class Opens(Protocol):
    """Gives the bytes of files in trees."""

    @property
    def owners(self) -> bool:
        """Whether ids other than our own can be given to files."""
        ...

    def open(self, entry: Entry) -> BinaryIO:
        """Open a file for reading."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """How images are to be written; `compression` is None to leave it as it is."""

    kinds: MediaTypes
    compression: Compression | None = None
    epoch: int | None = None


def form(compression: str, kinds: str, epoch: int | None) -> Form:
    """Read what the API says.

    Raises:
        ImageError: a compression that can not be written.
    """
    found = _COMPRESSIONS.get(compression.lower())
    if compression and found is None:
        more = (
            ": an eStargz layer is a gzip with an index for lazy pulling; Gzip has the same files"
            if compression.lower() == "estargz"
            else ""
        )
        raise ImageError(
            f"layers can not be compressed with {compression}{more}; use Gzip, Zstd or "
            "Uncompressed, or run on the Dagger engine: --engine dagger"
        )
    return Form(media_types(kinds), found, epoch)


@dataclass(frozen=True, slots=True)
class Image:
    """An image for one platform; the first of its layers are those of `base`, unchanged."""

    manifest: Manifest
    document: bytes
    descriptor: Descriptor
    base: ImageInfo | None = None
    inherited: int = 0

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything that the manifest names, the config last."""
        return (*self.manifest.layers, self.manifest.config)


@dataclass(frozen=True, slots=True)
class Composed:
    """Images under one name; `index` is None for a lone one."""

    images: tuple[Image, ...]
    index: bytes | None
    descriptor: Descriptor

    @classmethod
    def of(cls, images: Sequence[Image], kinds: MediaTypes) -> "Composed":
        """Put images under one name.

        Raises:
            ImageError: there is none.
        """
        if not images:
            raise ImageError("an image needs at least one platform; none was given")
        if len(images) == 1:
            return cls((images[0],), None, images[0].descriptor)
        index = Index(tuple(image.descriptor for image in images), kinds.index).emit()
        return cls(tuple(images), index, Descriptor(kinds.index, digest_bytes(index), len(index)))

    @property
    def documents(self) -> tuple[tuple[Descriptor, bytes], ...]:
        """The manifests, and the index last: what refers after what is referred to."""
        manifests = tuple((image.descriptor, image.document) for image in self.images)
        return manifests if self.index is None else (*manifests, (self.descriptor, self.index))


class Composer:
    """Makes the blobs of images.

    `shelf` is the directory of the snapshots' layers; `fetch` brings the blob of an image's
    layer here if it is not, and says where it is; `alive` raises when nobody waits any more.
    """

    def __init__(
        self,
        images: Images,
        shelf: Path,
        files: Opens,
        fetch: Callable[[ImageInfo, Layer], Path],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._images = images
        self._blobs = images.blobs
        self._shelf = shelf
        self._files = files
        self._fetch = fetch
        self._alive = alive

    def compose(
        self, variants: Sequence[Variant], roots: Iterable[Tree | Snapshot | None], wanted: Form
    ) -> Composed:
        """Make an image of every variant; a root that is None is the base itself. Blocks.

        `roots` are what the variants' edges give: the root, then the steps, one after the other.

        Raises:
            ImageError: no variant, or a config that can not be written.
            ContentMissing: a layer is gone. StoreFull: no room.
        """
        given = iter(roots)
        images = []
        for variant in variants:
            root, steps = next(given), list(islice(given, len(variant.steps)))
            images.append(self._image(variant, root, wanted, steps))
        return Composed.of(images, wanted.kinds)

    def places(self, composed: Composed) -> dict[Digest, Path]:
        """Bring every blob here, and say where each is; documents are not among them."""
        return {
            blob.digest: self.place(image, number)
            for image in composed.images
            for number, blob in enumerate(image.blobs)
        }

    def place(self, image: Image, number: int) -> Path:
        """Bring one of an image's blobs here, and say where it is."""
        blob = image.blobs[number]
        if image.base is not None and not self._blobs.has(blob.digest):
            for layer in image.base.layers:
                if layer.blob == blob.digest:
                    return self._fetch(image.base, layer)
        return self._blobs.path(blob.digest)

    def _image(
        self,
        variant: Variant,
        root: Tree | Snapshot | None,
        wanted: Form,
        steps: Sequence[Tree | Snapshot | None],
    ) -> Image:
        base = None if isinstance(root, Tree) else self._base(variant, root)
        below = base.layers if base is not None else ()
        rows = [self._inherited(base, layer, wanted) for layer in below if base is not None]
        if isinstance(root, Snapshot):
            rows += [self._own(layer, wanted) for layer in root.layers[len(below) :]]
        elif root:
            rows = [self._tree(root, wanted)]
        layers = tuple(
            Descriptor(wanted.kinds.layers[row["compression"]], Digest(row["blob"]), row["size"])
            for row in rows
        )
        config = load(variant.config.encode(), "the image's config")
        config |= _platform_fields(variant.platform)
        told = (base.config, len(base.layers)) if base is not None else None
        ids = [row["diff_id"] for row in rows]
        # A step that is the base itself was not asked for.
        counts = [len(s.layers) if isinstance(s, Snapshot) else len(below) for s in steps]
        config = with_layers(config, ids, told, wanted.epoch, counts)
        document = canonical(config)
        described = Descriptor(wanted.kinds.config, self._blobs.put(document), len(document))
        notes = dict(variant.annotations)
        manifest = Manifest(described, layers, wanted.kinds.manifest, notes)
        kept = sum(row["from"] == "base" for row in rows)
        return _image(manifest, platform_of(config), base, kept)

    def _base(self, variant: Variant, root: Snapshot | None) -> ImageInfo | None:
        """Find the image that a root was made from, if its layers are still the lowest."""
        info = self._images.by_digest(variant.base) if variant.base else None
        if info is None or not info.layers:
            return None
        ids = tuple(layer.diff_id for layer in info.layers)
        chains = (chain_id(ids[: number + 1]) for number in range(len(ids)))
        if root is not None and tuple(map(self._images.chain, chains)) != root.layers[: len(ids)]:
            return None
        # The name that this session asked for is where it may pull from.
        asked = info.source == "registry" and variant.origin
        return replace(info, reference=variant.origin) if asked else info

    def _inherited(self, base: ImageInfo, layer: Layer, wanted: Form) -> Mapping[str, Any]:
        """Describe a layer of the base, compressed anew if another compression is forced."""
        kind = self._kind(layer)
        if wanted.compression in {None, kind}:
            row = {"diff_id": layer.diff_id, "blob": layer.blob, "size": layer.size}
            return row | {"compression": kind, "from": "base"}
        compression = wanted.compression
        known = self._images.layer(layer.diff_id, f"recompressed {compression}")
        if known is not None and self._blobs.has(known["blob"]):
            return known
        row = self._recompress(self._fetch(base, layer), layer.diff_id, compression)
        self._images.put_layer(layer.diff_id, f"recompressed {compression}", row)
        return row

    def _kind(self, layer: Layer) -> Compression:
        """Tell how a layer is compressed; archives do not always say, so look if it is here."""
        if not self._blobs.has(layer.blob):
            return compression_of(layer.media_type)
        with self._blobs.path(layer.blob).open("rb") as file:
            head = file.read(4)
        if head.startswith(b"\x1f\x8b"):
            return "Gzip"
        return "Zstd" if head == b"\x28\xb5\x2f\xfd" else "Uncompressed"

    def _own(self, layer: str, wanted: Form) -> Mapping[str, Any]:
        """Find or make the blob of a snapshot's layer."""
        return self._packed(layer, lambda: layer_items(self._shelf, layer, wanted.epoch), wanted)

    def _tree(self, tree: Tree, wanted: Form) -> Mapping[str, Any]:
        """Find or make the blob of a root that is a tree."""

        def items() -> Iterable[Item]:
            owners = self._files.owners
            return tree_items(tree, self._files.open, wanted.epoch, owners=owners)

        return self._packed(tree.digest, items, wanted)

    def _packed(
        self, name: str, items: Callable[[], Iterable[Item]], wanted: Form
    ) -> Mapping[str, Any]:
        compression = wanted.compression or "Gzip"
        remembered = f"{_PACKED} {compression} {wanted.epoch}"
        known = self._images.layer(name, remembered)
        if known is not None and self._blobs.has(known["blob"]):
            return known
        squeeze = compressor(compression)
        with self._blobs.writer() as new:
            packed = pack(items(), partial(self._squeezed, squeeze, new))
            new.write(squeeze.flush())
        row = _row(packed.diff_id, new.digest, new.size, compression)
        self._images.put_layer(name, remembered, row)
        return row

    def _squeezed(self, squeeze: Compressor, new: NewBlob, piece: bytes) -> None:
        self._alive()
        new.write(squeeze.compress(piece))

    def _recompress(self, path: Path, diff_id: str, compression: Compression) -> dict[str, Any]:
        """Compress a layer's own tar anew: its diff_id stays."""
        squeeze = compressor(compression)
        with path.open("rb") as file, self._blobs.writer() as new:
            read = decompressing(file)
            while piece := read(_CHUNK):
                self._squeezed(squeeze, new, piece)
            new.write(squeeze.flush())
        return _row(diff_id, new.digest, new.size, compression)


def _image(manifest: Manifest, platform: str, base: ImageInfo | None, inherited: int) -> Image:
    document = manifest.emit()
    described = Descriptor(manifest.media_type, digest_bytes(document), len(document), platform)
    return Image(manifest, document, described, base if inherited else None, inherited)


def _row(diff_id: str, blob: str, size: int, compression: Compression) -> dict[str, Any]:
    row = {"diff_id": diff_id, "blob": blob, "size": size}
    return row | {"compression": compression, "from": "here"}


def _platform_fields(platform: str) -> dict[str, str]:
    system, architecture, *variant = platform.split("/")
    fields = {"os": system, "architecture": architecture}
    return fields | ({"variant": variant[0]} if variant else {})
