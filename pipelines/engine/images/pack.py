"""Pack an overlay-format directory into a layer's tar: the same content gives the same bytes.

Order is by name bytes with a slash after directories, so parents come before what is in them
and one directory at a time is in memory. Times are whole seconds, at most `epoch`; whiteouts
have 0. Of several hard links the first owns the content. Sockets and devices are left out.

Source: OCI image-spec layer.md; containerd's rule for the time of whiteouts.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ImageError
from pipelines.engine.images.attributes import get_attributes
from pipelines.engine.images.tarread import Member, MemberKind
from pipelines.engine.images.tarwrite import END, header, padding

__all__ = ["Packed", "pack"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed: the layer's diff_id and the size of its tar."""

    diff_id: Digest
    size: int


def pack(directory: Path, write: Callable[[bytes], object], epoch: int = 0) -> Packed:
    """Write a layer's tar in pieces.

    Args:
        directory: in overlay format; must not change meanwhile.
        write: takes the pieces.
        epoch: the latest modification time that is kept, in seconds.

    Raises:
        ImageError: the directory can not be read, or changed.
    """
    packer = _Packer(os.fsencode(directory), write, epoch)
    try:
        packer.level(b"")
    except OSError as exc:
        raise ImageError(f"packing {directory}: {exc.filename!r}: {exc.strerror}") from exc
    return packer.end()


class _Packer:
    def __init__(self, root: bytes, write: Callable[[bytes], object], epoch: int) -> None:
        self._root = root
        self._write = write
        self._epoch = epoch
        self._hash = hashlib.sha256()
        self._size = 0
        self._pending: list[bytes] = []
        self._waiting = 0
        self._inodes: dict[tuple[int, int], bytes] = {}

    def level(self, first: bytes) -> None:
        """Pack all below a directory; `first` is its name with a slash, or b""."""
        todo = [self._entries(first)]
        while todo:
            entry = next(todo[-1], None)
            if entry is None:
                todo.pop()
                continue
            name, found = entry
            if self._one(name, found) and stat.S_ISDIR(found.st_mode):
                todo.append(self._entries(name))

    def end(self) -> Packed:
        """Close the archive."""
        self._put(END)
        self._flush()
        return Packed(Digest.of_hex(self._hash.hexdigest()), self._size)

    def _entries(self, above: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
        """Give a directory's entries under the names that they have in the archive."""
        found: list[tuple[bytes, os.stat_result]] = []
        with os.scandir(self._root + b"/" + above) as entries:
            for entry in entries:
                at = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(at.st_mode):
                    found.append((above + entry.name + b"/", at))
                elif stat.S_ISCHR(at.st_mode) and at.st_rdev == 0:
                    found.append((above + b".wh." + entry.name, at))
                else:
                    found.append((above + entry.name, at))
        if above and self._opaque(above):
            found.append((above + b".wh..wh..opq", _WHITEOUT))
        return iter(sorted(found, key=lambda pair: pair[0]))

    def _opaque(self, above: bytes) -> bool:
        path = self._root + b"/" + above
        for name in ("user.overlay.opaque", "trusted.overlay.opaque"):
            try:
                if os.getxattr(path, name) == b"y":
                    return True
            except OSError:
                continue
        return False

    def _one(self, name: bytes, found: os.stat_result) -> bool:
        """Pack one entry; tell whether it was."""
        mode = found.st_mode
        if stat.S_ISCHR(mode) and found.st_rdev == 0:
            self._put(header(Member(name, "file", 0, 0, 0, 0, 0)))
        elif stat.S_ISREG(mode):
            self._file(name, found)
        elif stat.S_ISDIR(mode):
            self._put(header(self._member(name, found, "dir")))
        elif stat.S_ISLNK(mode):
            target = os.readlink(self._root + b"/" + name)
            self._put(header(self._member(name, found, "symlink", target)))
        elif stat.S_ISFIFO(mode):
            self._put(header(self._member(name, found, "fifo")))
        else:
            return False
        return True

    def _file(self, name: bytes, found: os.stat_result) -> None:
        if found.st_nlink > 1:
            first = self._inodes.setdefault((found.st_dev, found.st_ino), name)
            if first != name:
                self._put(header(self._member(name, found, "hardlink", first)))
                return
        self._put(header(self._member(name, found, "file")))
        left = found.st_size
        with open(self._root + b"/" + name, "rb", buffering=0) as file:
            while left and (piece := file.read(min(left, _CHUNK))):
                self._put(piece)
                left -= len(piece)
        if left:
            raise ImageError(f"packing a layer: {name!r} became shorter while it was read")
        self._put(padding(found.st_size))

    def _member(
        self, name: bytes, found: os.stat_result, kind: MemberKind, target: bytes = b""
    ) -> Member:
        linked = kind == "hardlink"
        return Member(
            name=name,
            kind=kind,
            mode=0o777 if kind == "symlink" else stat.S_IMODE(found.st_mode),
            uid=found.st_uid,
            gid=found.st_gid,
            size=found.st_size if kind == "file" else 0,
            mtime=max(0, min(int(found.st_mtime), self._epoch)) * 1_000_000_000,
            target=target,
            xattrs={} if linked else get_attributes(self._root + b"/" + name),
        )

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


# A whiteout that has no file: the mark of an opaque directory.
_WHITEOUT = os.stat_result((stat.S_IFCHR, 0, 0, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": 0})
