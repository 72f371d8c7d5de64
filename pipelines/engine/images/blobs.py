"""The blobs of images: layers and documents as registries and archives have them.

`<root>/blobs/sha256/<hex>`, as in an OCI layout. A blob appears complete: by rename, or, when
it is read while it is still written (`BlobFile`), by linkat(2) of a file without a name.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing, StoreError, StoreFull

__all__ = ["BlobFile", "ImageBlobs", "NewBlob", "storing"]


_NO_NAMELESS = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


class NewBlob:
    """A blob that is being written; digest and size so far."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> Digest:
        """The digest of what was written."""
        return Digest.of_hex(self._hash.hexdigest())

    def write(self, piece: bytes) -> None:
        """Append bytes."""
        self._hash.update(piece)
        self.size += len(piece)
        written = os.write(self._descriptor, piece)
        while written < len(piece):
            written += os.write(self._descriptor, piece[written:])


class BlobFile:
    """A blob that others read, through `descriptor`, while it is written; then `close` it."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self._draft = ""
        with storing(f"keeping a blob in {at}"):
            at.mkdir(parents=True, exist_ok=True)
            try:
                flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
                self.descriptor = os.open(at, flags, 0o644)
            except OSError as exc:
                if exc.errno not in _NO_NAMELESS:
                    raise
                self.descriptor, self._draft = tempfile.mkstemp(prefix=".new-", dir=at)
        self._new = NewBlob(self.descriptor)

    @property
    def digest(self) -> Digest:
        """The digest of what was written."""
        return self._new.digest

    def write(self, piece: bytes) -> None:
        """Append bytes."""
        with storing(f"keeping a blob in {self._at}"):
            self._new.write(piece)

    def publish(self) -> None:
        """Give the blob its name, which is its digest."""
        with storing(f"keeping a blob in {self._at}"):
            os.fchmod(self.descriptor, 0o644)
            source = self._draft or f"/proc/self/fd/{self.descriptor}"
            # With a dir_fd Python calls linkat(2) with AT_SYMLINK_FOLLOW, which is what
            # resolves /proc/self/fd; the paths are absolute.
            with suppress(FileExistsError):
                os.link(source, self._at / self.digest.hex, src_dir_fd=self.descriptor)

    def close(self) -> None:
        """Close the file; without `publish` nothing is left of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        if self._draft:
            os.unlink(self._draft)
            self._draft = ""


class ImageBlobs:
    """Blobs by digest below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._at = root / "blobs" / "sha256"

    def path(self, digest: str) -> Path:
        """Where a blob is or would be."""
        return self._at / Digest.parse(digest).hex

    def has(self, digest: str) -> bool:
        """Whether a blob is there."""
        return self.path(digest).exists()

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            ContentMissing: it is gone.
        """
        try:
            return self.path(digest).open("rb", buffering=0)
        except FileNotFoundError as exc:
            raise ContentMissing(f"blob {digest} of an image is not in the store") from exc

    def create(self) -> BlobFile:
        """Begin a blob that is read while it is written."""
        return BlobFile(self._at)

    def remove(self, digest: str) -> None:
        """Remove a blob; it may be gone already."""
        self.path(digest).unlink(missing_ok=True)

    def get(self, digest: str) -> bytes:
        """Read a small blob whole.

        Raises:
            ContentMissing: it is gone.
        """
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError as exc:
            raise ContentMissing(f"blob {digest} of an image is not in the store") from exc

    def put(self, content: bytes) -> Digest:
        """Keep a small blob."""
        with self.writer() as new:
            new.write(content)
        return new.digest

    @contextmanager
    def writer(self) -> Iterator[NewBlob]:
        """Keep a blob in pieces; nothing is kept if the block raises."""
        with storing(f"keeping a blob in {self._at}"):
            self._at.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=self._at)
            try:
                new = NewBlob(handle)
                yield new
                os.fchmod(handle, 0o644)
                os.rename(temporary, self._at / new.digest.hex)
            except BaseException:
                os.unlink(temporary)
                raise
            finally:
                os.close(handle)


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Tell a full disk from other trouble.

    Raises:
        StoreFull, StoreError: for OSError in the block.
    """
    try:
        yield
    except OSError as exc:
        full = exc.errno in {errno.ENOSPC, errno.EDQUOT}
        raise (StoreFull if full else StoreError)(f"{what}: {exc.strerror}") from exc
