"""The runner of `op.Archive`: snapshots become an OCI image archive, as a file.

The archive is an OCI layout in a tar, with Docker's `manifest.json` beside it when there is one
platform, so that `docker load` takes it too. The same layers and config give the same bytes.

Layers that came with an image keep their own bytes unless a compression is forced: what was
pushed once is not pushed again, and base layers stay what they are. Layers that were made
here are packed once, and remembered by (layer id, compression).
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pipelines.engine.digest import Digest, canonical, digest_bytes
from pipelines.engine.errors import ContentMissing, ImageError
from pipelines.engine.images.blobs import NewBlob, storing
from pipelines.engine.images.compression import Compression, compressor, decompressing
from pipelines.engine.images.local import ORIGINAL, Images
from pipelines.engine.images.model import (
    OCI,
    Descriptor,
    Index,
    Manifest,
    MediaTypes,
    load,
    media_types,
    platform_of,
    with_layers,
)
from pipelines.engine.images.pack import pack
from pipelines.engine.images.tarread import Member
from pipelines.engine.images.tarwrite import END, header, padding
from pipelines.engine.op import Archive, Variant
from pipelines.engine.result import Result, Snapshot, output
from pipelines.engine.tree import Entry, Tree

__all__ = ["ArchiveRunner", "Keeps"]

_CHUNK = 1 << 20
_COMPRESSIONS: Mapping[str, Compression] = {
    "gzip": "Gzip",
    "zstd": "Zstd",
    "uncompressed": "Uncompressed",
}


class Keeps(Protocol):
    """The store's files, as far as they are used here."""

    def adopt(self, path: Path, entry: Entry) -> Path:
        """Keep a finished, hashed file."""
        ...

    def materialise(self, tree: Tree, into: Path) -> None:
        """Put a tree into an empty directory."""
        ...


class ArchiveRunner:
    """Writes image archives; `shelf` is the directory of the snapshots' layers."""

    def __init__(self, images: Images, shelf: Path, files: Keeps) -> None:
        self._images = images
        self._blobs = images.blobs
        self._shelf = shelf
        self._files = files

    def run(self, op: Archive, inputs: Sequence[Result]) -> Tree:
        """Write an archive; gives a tree with the one file `container.tar`.

        Raises:
            ImageError: a compression or config that can not be written.
            ContentMissing: a layer is gone. StoreFull: no room.
        """
        kinds, wanted = media_types(op.media_types), _compression(op.compression)
        images = []
        for variant, edge, result in zip(op.variants, op.inputs, inputs, strict=True):
            images.append(self._image(variant, output(result, edge.output), kinds, wanted))
        if not images:
            raise ImageError("an image archive needs at least one platform; none was given")
        return self._write(images, kinds)

    def _image(
        self,
        variant: Variant,
        root: Tree | Snapshot,
        kinds: MediaTypes,
        wanted: Compression | None,
    ) -> "_Image":
        if isinstance(root, Tree):
            rows: list[Mapping[str, Any]] = []
            if root:
                rows.append(self._tree_layer(root, wanted or "Gzip"))
        else:
            rows = [self._layer(layer, wanted) for layer in root.layers]
        layers = tuple(
            Descriptor(kinds.layers[row["compression"]], Digest(row["blob"]), row["size"])
            for row in rows
        )
        config = load(variant.config.encode(), "the image's config")
        config |= _platform_fields(variant.platform)
        document = canonical(with_layers(config, [row["diff_id"] for row in rows]))
        digest = self._blobs.put(document)
        described = Descriptor(kinds.config, digest, len(document))
        manifest = Manifest(described, layers, kinds.manifest, dict(variant.annotations))
        return _Image(manifest, platform_of(config))

    # --- layers ---------------------------------------------------------------------------

    def _layer(self, layer: str, wanted: Compression | None) -> Mapping[str, Any]:
        """Find or make the blob of a snapshot layer."""
        original = self._images.layer(layer, ORIGINAL)
        if original is not None and self._blobs.has(original["blob"]):
            kind = self._kind(original["blob"])
            if wanted in {None, kind}:
                return {**original, "compression": kind}
        else:
            original = None
        compression = wanted or "Gzip"
        known = self._images.layer(layer, compression)
        if known is not None and self._blobs.has(known["blob"]):
            return known
        if original is not None:
            row = self._recompress(original, compression)
        else:
            row = self._pack(self._shelf / layer / "fs", compression)
        self._images.put_layer(layer, compression, row)
        return row

    def _pack(self, directory: Path, compression: Compression) -> dict[str, Any]:
        if not directory.is_dir():
            raise ContentMissing(f"layer {directory.parent.name} is not in the store")
        squeeze = compressor(compression)
        with self._blobs.writer() as new:
            packed = pack(directory, lambda piece: new.write(squeeze.compress(piece)))
            new.write(squeeze.flush())
        return _row(packed.diff_id, new, compression)

    def _recompress(self, original: Mapping[str, Any], compression: Compression) -> dict[str, Any]:
        """Compress a layer's own tar anew: its diff_id stays."""
        squeeze = compressor(compression)
        with self._blobs.path(original["blob"]).open("rb") as file, self._blobs.writer() as new:
            read = decompressing(file)
            while piece := read(_CHUNK):
                new.write(squeeze.compress(piece))
            new.write(squeeze.flush())
        return _row(original["diff_id"], new, compression)

    def _tree_layer(self, tree: Tree, compression: Compression) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self._scratch()) as temporary:
            self._files.materialise(tree, Path(temporary))
            return self._pack(Path(temporary), compression)

    def _kind(self, blob: str) -> Compression:
        with self._blobs.path(blob).open("rb") as file:
            head = file.read(4)
        if head.startswith(b"\x1f\x8b"):
            return "Gzip"
        return "Zstd" if head == b"\x28\xb5\x2f\xfd" else "Uncompressed"

    # --- the archive ----------------------------------------------------------------------

    def _write(self, images: Sequence["_Image"], kinds: MediaTypes) -> Tree:
        documents, top = _documents(images, kinds)
        blobs = {d.digest for image in images for d in (image.config, *image.layers)}
        blobs |= {self._blobs.put(content) for content in documents}
        with self._new_file() as (path, new):
            for name in (b"blobs/", b"blobs/sha256/"):
                new.write(header(Member(name, "dir", 0o755, 0, 0, 0, 0)))
            for digest in sorted(blobs):
                self._copy(new, digest)
            for name, content in sorted(top.items()):
                new.write(header(Member(name, "file", 0o644, 0, 0, len(content), 0)))
                new.write(content + padding(len(content)))
            new.write(END)
            entry = Entry("file", 0o644, new.size, new.digest.hex)
            self._files.adopt(path, entry)
        return Tree({"container.tar": entry})

    def _copy(self, new: NewBlob, digest: Digest) -> None:
        with self._blobs.path(digest).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            name = b"blobs/sha256/" + digest.hex.encode()
            new.write(header(Member(name, "file", 0o644, 0, 0, size, 0)))
            while piece := file.read(_CHUNK):
                new.write(piece)
        new.write(padding(size))

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, NewBlob]]:
        with storing("writing an image archive"):
            handle, temporary = tempfile.mkstemp(prefix="archive-", dir=self._scratch())
            try:
                os.fchmod(handle, 0o644)
                yield Path(temporary), NewBlob(handle)
            finally:
                os.close(handle)
                os.unlink(temporary)

    def _scratch(self) -> Path:
        path = self._images.root / "scratch"
        path.mkdir(parents=True, exist_ok=True)
        return path


class _Image:
    """An image of the archive: its manifest, as a document and as a descriptor."""

    __slots__ = ("config", "descriptor", "document", "layers")

    def __init__(self, manifest: Manifest, platform: str) -> None:
        self.config = manifest.config
        self.layers = manifest.layers
        self.document = manifest.emit()
        digest, size = digest_bytes(self.document), len(self.document)
        self.descriptor = Descriptor(manifest.media_type, digest, size, platform)


def _documents(
    images: Sequence[_Image], kinds: MediaTypes
) -> tuple[list[bytes], dict[bytes, bytes]]:
    """Give the documents that are blobs, and the files at the top of the archive."""
    documents = [image.document for image in images]
    entry = images[0].descriptor
    if len(images) > 1:
        nested = Index(tuple(image.descriptor for image in images), kinds.index).emit()
        documents.append(nested)
        entry = Descriptor(kinds.index, digest_bytes(nested), len(nested))
    top = {
        b"index.json": Index((entry,), OCI.index).emit(),
        b"oci-layout": canonical({"imageLayoutVersion": "1.0.0"}),
    }
    if len(images) == 1:
        top[b"manifest.json"] = _docker_manifest(images[0])
    return documents, top


def _docker_manifest(image: _Image) -> bytes:
    """Give what `docker load` reads. Source: moby image/spec/v1.2.md."""
    layers = [f"blobs/sha256/{layer.digest.hex}" for layer in image.layers]
    row = {"Config": f"blobs/sha256/{image.config.digest.hex}", "RepoTags": None, "Layers": layers}
    return json.dumps([row], sort_keys=True, separators=(",", ":")).encode()


def _row(diff_id: str, new: NewBlob, compression: Compression) -> dict[str, Any]:
    return {
        "diff_id": diff_id,
        "blob": new.digest,
        "size": new.size,
        "compression": compression,
    }


def _compression(name: str) -> Compression | None:
    if not name:
        return None
    found = _COMPRESSIONS.get(name.lower())
    if found is None:
        raise ImageError(
            f"layers can not be compressed with {name}; use Gzip, Zstd or Uncompressed, or run on "
            "the Dagger engine: --engine dagger"
        )
    return found


def _platform_fields(platform: str) -> dict[str, str]:
    system, architecture, *variant = platform.split("/")
    fields = {"os": system, "architecture": architecture}
    return fields | ({"variant": variant[0]} if variant else {})
