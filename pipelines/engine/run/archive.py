"""The runner of `op.Archive`: snapshots become an OCI image archive, as a file.

The archive is an OCI layout in a tar, with Docker's `manifest.json` beside it when there is one
platform, so that `docker load` takes it too. The same layers and config give the same bytes.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pipelines.engine.digest import Digest, canonical
from pipelines.engine.images.blobs import NewBlob, storing
from pipelines.engine.images.local import Images
from pipelines.engine.images.model import OCI, Descriptor, Index
from pipelines.engine.images.tarread import Member
from pipelines.engine.images.tarwrite import END, header, padding
from pipelines.engine.op import Archive
from pipelines.engine.result import Result, output
from pipelines.engine.run.compose import Composed, Composer, Image, form
from pipelines.engine.tree import Entry, Tree

__all__ = ["ArchiveRunner", "Keeps"]

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
    composed: Composed, places: dict[Digest, Path], new: NewBlob, names: Sequence[str] = ()
) -> None:
    """Write an archive of images whose blobs are at `places`, under names if there are any."""
    documents = {d.digest: content for d, content in composed.documents}
    for name in (b"blobs/", b"blobs/sha256/"):
        new.write(header(Member(name, "dir", 0o755, 0, 0, 0, 0)))
    for digest in sorted({*places, *documents}):
        name = b"blobs/sha256/" + digest.hex.encode()
        if digest in documents:
            _put(new, name, documents[digest])
        else:
            _copy(new, name, places[digest])
    for name, content in sorted(_top(composed, names).items()):
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


def _top(composed: Composed, names: Sequence[str]) -> dict[bytes, bytes]:
    """Give the files at the top of the archive."""
    entries = tuple(_named(composed.descriptor, name) for name in names or ("",))
    top = {
        b"index.json": Index(entries, OCI.index).emit(),
        b"oci-layout": canonical({"imageLayoutVersion": "1.0.0"}),
    }
    if len(composed.images) == 1:
        top[b"manifest.json"] = _docker_manifest(composed.images[0], names)
    return top


def _named(found: Descriptor, name: str) -> Descriptor:
    """Name an image as containerd and Docker read it, and by its tag as the OCI layout has it."""
    if not name:
        return found
    notes = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    return Descriptor(found.media_type, found.digest, found.size, found.platform, notes)


def _docker_manifest(image: Image, names: Sequence[str]) -> bytes:
    """Give what `docker load` reads. Source: moby image/spec/v1.2.md."""
    layers = [f"blobs/sha256/{layer.digest.hex}" for layer in image.manifest.layers]
    config = f"blobs/sha256/{image.manifest.config.digest.hex}"
    row = {"Config": config, "RepoTags": list(names) or None, "Layers": layers}
    return json.dumps([row], sort_keys=True, separators=(",", ":")).encode()
