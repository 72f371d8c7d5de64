"""The stat cache: what a file contained when its inode looked like this.

Theory of operation
    A file is known by (device, inode, ctime, mtime, size, mode), packed to 48 bytes; the
    cache maps that to the sha-256 of the content that was read then. Paths do not enter, so a
    renamed directory is still known. Every write changes ctime, which nobody can set back,
    but clocks tick: a write in the same tick as the last change leaves no trace. So a key is
    *racy*, and not kept, unless its last change was clearly before the read began: by
    `LOCAL` where the kernel of this machine stamps ctime (ticks are at most 10 ms), by
    `FOREIGN` where somebody else does, or where stamps have whole seconds.

    On disk: one file a root, a header with a checksum, then rows of 48 + 32 bytes. It is
    replaced by rename; a reader sees the old or the new one, the loser of two writers loses a
    few rows. Whatever can not be read is an empty cache.

Source: git, `Documentation/technical/racy-git`.
"""

import contextlib
import os
import struct
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Final

__all__ = ["StatCache", "is_local", "racy", "stamp"]

LOCAL: Final = 100_000_000  # nanoseconds
FOREIGN: Final = 2_000_000_000

_LOCAL_TYPES = frozenset(
    ("bcachefs", "btrfs", "erofs", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs")
)
_SPARE: Final = 10_000
_MAGIC = b"pipelines stat cache 1\n"
_ROW = struct.Struct("48s32s")
_KEY = struct.Struct("=QQqqQQ")


def stamp(st: os.stat_result) -> bytes:
    """Pack what identifies a file's content."""
    return _KEY.pack(st.st_dev, st.st_ino, st.st_ctime_ns, st.st_mtime_ns, st.st_size, st.st_mode)


def racy(st: os.stat_result, began: int, *, local: bool) -> bool:
    """Tell whether a write after `began` (ns) could leave the same stamp."""
    newest = st.st_ctime_ns
    if local and newest % 1_000_000:
        return newest > began - LOCAL
    return max(newest, st.st_mtime_ns) > began - FOREIGN


def is_local(path: str) -> bool:
    """Tell whether this machine's kernel stamps the files of a path's file system."""
    try:
        device = os.stat(path).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                fields = line.split(" ")
                if fields[2] == wanted:
                    return fields[fields.index("-", 6) + 1] in _LOCAL_TYPES
    except (OSError, ValueError, IndexError):
        return False
    return False


class StatCache:
    """The rows of one root: `known` from before; the walk notes what it `met` and what is `new`."""

    __slots__ = ("_file", "known", "local", "met", "new")

    def __init__(self, directory: Path | None, root: str) -> None:
        self._file: str | None = None
        if directory is not None:
            name = sha256(os.path.realpath(root).encode("utf-8", "surrogateescape")).hexdigest()
            self._file = os.path.join(directory, name)
        self.known: dict[bytes, bytes] = self._load()
        self.met = 0
        self.new: dict[bytes, bytes] = {}
        self.local = is_local(root)

    def _load(self) -> dict[bytes, bytes]:
        if self._file is None:
            return {}
        try:
            with open(self._file, "rb", buffering=0) as stream:
                blob = stream.read()
        except OSError:
            return {}
        head, body = blob[: len(_MAGIC) + 4], blob[len(_MAGIC) + 4 :]
        if head != _head(body) or len(body) % _ROW.size:
            return {}
        return dict(_ROW.iter_unpack(body))

    def save(self) -> None:
        """Keep known and new rows, if there are new ones; failing to is no error.

        Rows that were not met may belong to a walk with other patterns: they stay until they
        are many more than those in use, and then all go.
        """
        if self._file is None or not self.new:
            return
        stale = len(self.known) - self.met
        rows = (
            self.new if stale > _SPARE + 4 * (self.met + len(self.new)) else self.known | self.new
        )
        body = b"".join([part for row in rows.items() for part in row])
        temporary = f"{self._file}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            os.makedirs(os.path.dirname(self._file), mode=0o700, exist_ok=True)
            with open(temporary, "xb", buffering=0) as stream:
                stream.write(_head(body))
                stream.write(body)
            os.rename(temporary, self._file)
        except OSError:
            # A cache that can not be kept costs time, not truth.
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _head(body: bytes) -> bytes:
    return _MAGIC + zlib.crc32(body).to_bytes(4, "big")
