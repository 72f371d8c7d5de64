"""Where travelling caches are kept: one protocol for directories, S3 and OCI registries.

Two kinds of objects, by names such as `packs/<digest>` and `heads/<scope>/<key>` (ASCII letters,
digits, `.`, `_`, `-`, separated by `/`):

    immutable   named by the digest of their bytes. Written once; written again by anybody, they
                are the same. Read as a whole or in ranges.
    heads       small and replaced: `swap` replaces one only if it still is what the writer saw,
                so of two savers at once one is told to merge. A transport whose backend can not
                compare (OCI tags) gives each writer a name of its own and unites them when read:
                that is why `heads` gives several.

A transport never verifies: whoever reads compares digests and signatures. It retries what is
worth it (`Retry-After`, timeouts, 5xx) within the time that it is given, and raises
`Unavailable` after that.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["HEAD_LIMIT", "OBJECT_LIMIT", "Head", "Item", "Transport"]

# What is put in place of a head or a pack by others may be of any size. A head is given up to
# one byte more than this, and so does not verify; an object read without a length is Damaged.
HEAD_LIMIT = 64 << 10
OBJECT_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """A head as it was read; `version` is the backend's own word for what it read (an ETag)."""

    content: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Item:
    """An object of a listing; `modified` is in seconds since the epoch, by the backend's clock."""

    name: str
    size: int
    modified: float


class Transport(Protocol):
    """A backend; safe for concurrent tasks."""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        ...

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an immutable object or a range of it.

        Raises:
            Missing: it is not there.
            Unavailable: the backend does not answer.
        """
        ...

    async def write(self, name: str, content: bytes) -> bool:
        """Write an immutable object unless it is there; tell whether bytes were sent."""
        ...

    async def heads(self, name: str) -> Sequence[Head]:
        """Read what stands under a head's name: none, one, or those of several writers."""
        ...

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        """Replace a head that was read as `seen` (empty: there was none).

        Raises:
            Conflict: it was replaced meanwhile.
        """
        ...

    def list(self, prefix: str) -> AsyncIterator[Item]:
        """List the objects whose names begin with `prefix`, heads too, in no order."""
        ...

    async def delete(self, name: str) -> None:
        """Delete an object; it may be gone already."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
