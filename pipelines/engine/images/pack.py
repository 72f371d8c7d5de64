"""Write a layer's tar: the same items give the same bytes.

Order is by name bytes with a slash after directories, so parents come before what is in them;
the whiteouts of a directory come before all else in it (an extractor that removes as it reads
must not remove what the layer itself brought). Times, owners and modes are what the items say:
nothing is asked of a file system but the bytes of files, so nothing that differs between two
machines can get in.

Source: OCI image-spec layer.md.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ImageError
from pipelines.engine.images.tarread import Member
from pipelines.engine.images.tarwrite import END, header, padding

__all__ = ["OPAQUE", "Item", "Packed", "pack", "whiteout"]

_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC  # not through a link, whoever put it there
_MARK, OPAQUE = b".wh.", b".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed: the layer's diff_id and the size of its tar."""

    diff_id: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a layer; a file that has bytes has a `path`, or `opened` gives them.

    A hard link's target is the name of its file that is first in the order of bytes.
    """

    member: Member
    opened: Callable[[], BinaryIO] | None = None
    path: bytes = b""


def whiteout(name: bytes) -> Item:
    """Make the item that hides a path of the layers below; `OPAQUE` in a directory hides all."""
    above, slash, last = name.rpartition(b"/")
    mark = last if last == OPAQUE else _MARK + last
    return Item(Member(above + slash + mark, "file", 0, 0, 0, 0, 0))


def pack(items: Iterable[Item], write: Callable[[bytes], object]) -> Packed:
    """Write a layer's tar in pieces.

    Args:
        items: in any order; directories have a name that ends with a slash.
        write: takes the pieces.

    Raises:
        ImageError: a file can not be read, or is not as long as its item says.
    """
    packer = _Packer(write)
    for item in sorted(items, key=_order):
        try:
            packer.add(item)
        except OSError as exc:
            raise ImageError(f"packing a layer: {item.member.name!r}: {exc.strerror}") from exc
    return packer.end()


def _order(item: Item) -> bytes:
    """Sort the root to the front, and whiteouts in their directory: zero is in no name."""
    name = item.member.name
    if name == b"./":
        return b""
    above, slash, last = name.rpartition(b"/")
    return above + slash + b"\0" + last if last.startswith(_MARK) else name


class _Packer:
    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._hash = hashlib.sha256()
        self._size = 0
        self._pending: list[bytes] = []
        self._waiting = 0

    def add(self, item: Item) -> None:
        """Write one entry."""
        member = item.member
        self._put(header(member))
        if member.kind == "file" and member.size:
            self._file(item)

    def _file(self, item: Item) -> None:
        if item.path:
            descriptor = os.open(item.path, _READ)
            try:
                self._bytes(item.member, partial(os.read, descriptor))
            finally:
                os.close(descriptor)
        else:
            assert item.opened is not None
            with item.opened() as file:
                self._bytes(item.member, file.read)

    def _bytes(self, member: Member, read: Callable[[int], bytes]) -> None:
        """Write a file's content; one byte more is asked for than there should be."""
        left = member.size
        while left >= 0 and (piece := read(min(left + 1, _CHUNK))):
            self._put(piece)
            left -= len(piece)
        if left:
            how = "shorter" if left > 0 else "longer"
            raise ImageError(f"packing a layer: {member.name!r} became {how}")
        self._put(padding(member.size))

    def end(self) -> Packed:
        """Close the archive."""
        self._put(END)
        self._flush()
        return Packed(Digest.of_hex(self._hash.hexdigest()), self._size)

    def _put(self, piece: bytes) -> None:
        """Collect small pieces: a call per kilobyte costs more than the work."""
        self._pending.append(piece)
        self._waiting += len(piece)
        if self._waiting >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        block = b"".join(self._pending)
        self._pending, self._waiting = [], 0
        self._hash.update(block)
        self._size += len(block)
        self._write(block)
