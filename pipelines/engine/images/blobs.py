"""The blobs of images: layers and documents as registries and archives have them.

`<root>/blobs/sha256/<hex>`, as in an OCI layout. A blob appears by rename, complete.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing, StoreError, StoreFull

__all__ = ["ImageBlobs", "NewBlob", "storing"]


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


class ImageBlobs:
    """Blobs by digest below `root`."""

    def __init__(self, root: Path) -> None:
        self._at = root / "blobs" / "sha256"

    def path(self, digest: str) -> Path:
        """Where a blob is or would be."""
        return self._at / Digest.parse(digest).hex

    def has(self, digest: str) -> bool:
        """Whether a blob is there."""
        return self.path(digest).exists()

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
