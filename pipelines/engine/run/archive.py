"""The runner of `op.Archive`: snapshots become an OCI image archive, as a file.

The archive is an OCI layout in a tar, with Docker's `manifest.json` beside it when there is one
platform, so that `docker load` takes it too. The same layers and config give the same bytes.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pipelines.engine.digest import Digest, canonical
from pipelines.engine.images.blobs import NewBlob, storing
from pipelines.engine.images.local import Images
from pipelines.engine.images.model import OCI, Index
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.tarread import Member
from pipelines.engine.images.tarwrite import END, header, padding
from pipelines.engine.op import Archive
from pipelines.engine.result import Result, output
from pipelines.engine.run.compose import Composed, Composer, Image, form
from pipelines.engine.tree import Entry, Tree

__all__ = ["ArchiveRunner", "Keeps", "write"]

_CHUNK = 1 << 20


class Keeps(Protocol):
    """The store's files, as far as they are used here."""

    def adopt(self, path: Path, entry: Entry) -> Path:
        """Keep a finished, hashed file."""
        ...


class ArchiveRunner:
    """Writes image archives."""

    def __init__(self, composer: Composer, images: Images, files: Keeps) -> None:
        self._composer = composer
        self._images = images
        self._files = files

    def run(self, op: Archive, inputs: Sequence[Result]) -> Tree:
        """Write an archive; gives a tree with the one file `container.tar`.

        Raises:
            ImageError: a compression or config that can not be written.
            ContentMissing: a layer is gone. StoreFull: no room.
        """
        wanted = form(op.compression, op.media_types, op.epoch)
        roots = [output(r, edge.output) for edge, r in zip(op.inputs, inputs, strict=True)]
        composed = self._composer.compose(op.variants, roots, wanted)
        places = self._composer.places(composed)
        with self._new_file() as (path, new):
            write(composed, places, new)
            entry = Entry("file", 0o644, new.size, new.digest.hex)
            self._files.adopt(path, entry)
        return Tree({"container.tar": entry})

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, NewBlob]]:
        scratch = self._images.root / "scratch"
        with storing("writing an image archive"):
            scratch.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix="archive-", dir=scratch)
            try:
                os.fchmod(handle, 0o644)
                yield Path(temporary), NewBlob(handle)
            finally:
                os.close(handle)
                os.unlink(temporary)


def write(
    composed: Composed,
    places: dict[Digest, Path],
    new: NewBlob,
    ref: Reference | None = None,
    native: str = "",
) -> None:
    """Write an archive of images whose blobs are at `places`.

    `ref` is their name, if they have one; of several images Docker gets the `native` one.
    """
    documents = {d.digest: content for d, content in composed.documents}
    for name in (b"blobs/", b"blobs/sha256/"):
        new.write(header(Member(name, "dir", 0o755, 0, 0, 0, 0)))
    for digest in sorted({*places, *documents}):
        name = b"blobs/sha256/" + digest.hex.encode()
        if digest in documents:
            _put(new, name, documents[digest])
        else:
            _copy(new, name, places[digest])
    for name, content in sorted(_top(composed, ref, native).items()):
        _put(new, name, content)
    new.write(END)


def _put(new: NewBlob, name: bytes, content: bytes) -> None:
    new.write(header(Member(name, "file", 0o644, 0, 0, len(content), 0)))
    new.write(content + padding(len(content)))


def _copy(new: NewBlob, name: bytes, source: Path) -> None:
    with source.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        new.write(header(Member(name, "file", 0o644, 0, 0, size, 0)))
        while piece := file.read(_CHUNK):
            new.write(piece)
    new.write(padding(size))


def _top(composed: Composed, ref: Reference | None, native: str) -> dict[bytes, bytes]:
    """Give the files at the top of the archive."""
    named = composed.descriptor
    if ref is not None:
        # Its name, as containerd and Docker read it, and its tag, as an OCI layout has it.
        notes = {
            "io.containerd.image.name": ref.full,
            "org.opencontainers.image.ref.name": ref.tag,
        }
        named = replace(named, annotations=notes)
    top = {
        b"index.json": Index((named,), OCI.index).emit(),
        b"oci-layout": canonical({"imageLayoutVersion": "1.0.0"}),
    }
    lone = len(composed.images) == 1
    for image in composed.images:
        if lone or image.descriptor.platform == native:
            top[b"manifest.json"] = _docker_manifest(image, ref)
    return top


def _docker_manifest(image: Image, ref: Reference | None) -> bytes:
    """Give what `docker load` reads. Source: moby image/spec/v1.2.md."""
    layers = [f"blobs/sha256/{layer.digest.hex}" for layer in image.manifest.layers]
    config = f"blobs/sha256/{image.manifest.config.digest.hex}"
    row = {"Config": config, "RepoTags": [str(ref)] if ref else None, "Layers": layers}
    return json.dumps([row], sort_keys=True, separators=(",", ":")).encode()
