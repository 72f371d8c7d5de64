"""Blobs: bytes by their digest."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.full import full
from pipelines.engine.store.incoming import Incoming
from pipelines.engine.store.layout import Layout

__all__ = ["BlobWriter", "Blobs"]


class BlobWriter:
    """A blob that is being written; `digest` is set when the `with` block has ended well."""

    __slots__ = ("_file", "_hash", "digest", "size")

    def __init__(self, file: Incoming) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0
        self.digest: Digest | None = None

    def write(self, piece: bytes | memoryview) -> None:
        """Add bytes."""
        self._hash.update(piece)
        self._file.write(piece)
        self.size += len(piece)
        crashpoint("blob.written")

    @property
    def so_far(self) -> Digest:
        """The digest of what was written until now."""
        return Digest.of_hex(self._hash.hexdigest())


class Blobs:
    """The store's blobs; safe for threads and processes."""

    __slots__ = ("_layout", "_root")

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._root = str(layout.blobs)

    def path(self, digest: Digest) -> Path:
        """Where a blob is or would be."""
        return Path(self._root, digest.hex)

    def has(self, digest: Digest) -> bool:
        """Whether a blob is there."""
        return os.path.exists(f"{self._root}/{digest.hex}")

    def put(self, data: bytes) -> Digest:
        """Keep bytes.

        Raises:
            StoreFull: no room.
        """
        digest = Digest.of_hex(hashlib.sha256(data).hexdigest())
        if not self.has(digest):
            with full(f"keep {len(data)} bytes"), Incoming(self._layout) as file:
                file.write(data)
                self._place(file, digest)
        return digest

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """Keep bytes as they come; nothing is kept if the block raises.

        Raises:
            StoreFull: no room.
        """
        with full("keep a blob"), Incoming(self._layout) as file:
            writer = BlobWriter(file)
            yield writer
            self._place(file, writer.so_far)
            writer.digest = writer.so_far

    def put_file(self, path: Path) -> Digest:
        """Take a finished file of this file system into the store; `path` is gone after.

        The file must not be open for writing anywhere.
        """
        digest = _digest_file(path)
        crashpoint("blob.hashed")
        with full(f"keep {path}"):
            os.chmod(path, 0o400)
            os.rename(path, f"{self._root}/{digest.hex}")
        crashpoint("blob.placed")
        return digest

    def get(self, digest: Digest) -> bytes:
        """Read a blob whole, checking it.

        Raises:
            ContentMissing: it is not there, or was not what its name says and was removed.
        """
        try:
            with open(f"{self._root}/{digest.hex}", "rb", buffering=0) as file:
                found = file.read()
        except FileNotFoundError as exc:
            raise ContentMissing(f"blob {digest} is not in the store") from exc
        if hashlib.sha256(found).hexdigest() != digest.hex:
            self.remove(digest)
            raise ContentMissing(f"blob {digest} was damaged and has been removed")
        return found

    def remove(self, digest: Digest) -> None:
        """Remove a blob; it may be gone already."""
        self.path(digest).unlink(missing_ok=True)

    def check(self, digest: Digest) -> bool:
        """Whether a blob is there and is what its name says; memory stays constant."""
        try:
            return _digest_file(self.path(digest)) == digest
        except FileNotFoundError:
            return False

    def entries(self) -> Iterator[tuple[Digest, os.stat_result]]:
        """Yield every blob with its status."""
        with os.scandir(self._root) as found:
            for item in found:
                try:
                    yield Digest.of_hex(item.name), item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue

    def _place(self, file: Incoming, digest: Digest) -> None:
        os.fchmod(file.fd, 0o400)
        file.link(f"{self._root}/{digest.hex}")
        crashpoint("blob.placed")


def _digest_file(path: Path) -> Digest:
    with open(path, "rb", buffering=0) as file:
        return Digest.of_hex(hashlib.file_digest(file, "sha256").hexdigest())
