"""Making a tree's files, directories and links in a new directory."""

import contextlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import zstandard
from anyio import from_thread
from blake3 import blake3

from pipelines.caches.cutting import LARGEST
from pipelines.caches.errors import Damaged
from pipelines.caches.faults import inflate
from pipelines.caches.index import Index
from pipelines.caches.planning import Plan, Range
from pipelines.caches.scan import entered
from pipelines.caches.seen import Seen, Stamp
from pipelines.caches.tree import DIR, FILE, HARD, LINK, WHITEOUT

__all__ = ["Placing"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AGAIN = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_ZERO = blake3(bytes(LARGEST)).digest()
_PLAIN = 0o777
_LONG = 3500  # bytes of a path that the kernel surely takes at once


class Placing:
    """One tree on its way into a directory; `put` may run in several threads."""

    def __init__(
        self, index: Index, plan: Plan, into: Path, *, exact: bool, when: int | None = None
    ) -> None:
        self._index = index
        self._plan = plan
        self._rows = plan.rows
        self._into = into
        self._exact = exact
        self._when = when  # the time of all files, in place of their own
        self._top = -1
        self._masked = ~_umask() & _PLAIN
        self._lock = threading.Lock()
        self._left: dict[int, int] = {}  # of files of several chunks: how many are to come
        self._chunks: dict[int, list[int]] = {}
        self._stamps: dict[bytes, Stamp] = {}

    def begin(self) -> None:
        """Make the directories, and the files that have no contents.

        Raises:
            FileExistsError: the directory is not empty.
        """
        top = os.open(self._into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if os.listdir(top):
            os.close(top)
            raise FileExistsError(f"{self._into} is not empty: a restore needs a new directory")
        self._top = top  # from here on what is in it is ours, and removed if we fail
        rows = self._rows
        for row, path in enumerate(rows.paths):
            if rows.kinds[row] == DIR and path:
                with self._at(path) as (held, name):
                    os.mkdir(name, 0o700, dir_fd=held)
            elif rows.kinds[row] == FILE and rows.counts[row] == 0:
                self._whole(row, b"")
        index, chunks = self._index, self._chunks
        for chunk in self._plan.places:
            chunks.setdefault(index.frames[chunk], []).append(chunk)

    def put(self, part: Range, content: bytes, frames: Sequence[int]) -> None:
        """Verify some frames of a range that was read, and write what is in them.

        Raises:
            Damaged: bytes are not what they should be.
        """
        if len(content) != part.size:
            name = self._index.packs[part.pack].name
            raise Damaged(f"{name}: {len(content)} bytes where {part.size} were asked for")
        view, by = memoryview(content), zstandard.ZstdDecompressor()
        held: dict[int, int] = {}
        try:
            for frame in frames:
                from_thread.check_cancelled()
                start = self._index.starts[frame] - part.start
                self._frame(frame, view[start : start + self._index.sizes[frame]], by, held)
        finally:
            for descriptor in held.values():
                os.close(descriptor)

    def _frame(
        self, frame: int, kept: memoryview, by: zstandard.ZstdDecompressor, held: dict[int, int]
    ) -> None:
        index = self._index
        what = f"the frame at {index.starts[frame]} of {index.packs[index.homes[frame]].name}"
        if blake3(kept).digest() != index.seal(frame):
            raise Damaged(f"{what} is not what the manifest says")
        raw = memoryview(inflate(kept, index.raws[frame], what, by))
        counts = self._rows.counts
        for chunk in self._chunks[frame]:
            offset, digest = index.offsets[chunk], index.digest(chunk)
            piece = raw[offset : offset + index.lengths[chunk]]
            if blake3(piece).digest() != digest:
                raise Damaged(f"a chunk at {offset} of {what} is not what the manifest says")
            for row, at in self._plan.places[chunk]:
                if counts[row] == 1:
                    self._whole(row, piece)
                else:
                    self._part(row, at, piece, held, hole=digest == _ZERO)

    def _whole(self, row: int, content: bytes | memoryview) -> None:
        """Make a file at once."""
        with self._at(self._rows.paths[row]) as (where, name):
            held = os.open(name, _NEW, self._rows.modes[row] & _PLAIN, dir_fd=where)
        try:
            if content:
                _write(held, content, 0)
            self._dress(row, held)
        finally:
            os.close(held)

    def _part(
        self, row: int, at: int, content: memoryview, held: dict[int, int], *, hole: bool
    ) -> None:
        """Write a piece of a file, making it with its first and finishing it with its last."""
        if row not in held:
            held[row] = self._open(row)
        if not hole:
            _write(held[row], content, at)
        with self._lock:
            self._left[row] -= 1
            done = self._left[row] == 0
        if done:
            self._dress(row, held[row])

    def _open(self, row: int) -> int:
        rows = self._rows
        with self._lock, self._at(rows.paths[row]) as (where, name):
            if row in self._left:
                return os.open(name, _AGAIN, dir_fd=where)
            held = os.open(name, _NEW, 0o600, dir_fd=where)
            self._left[row] = rows.counts[row]
            # The length at once: a hole at the end would not make it.
            os.ftruncate(held, self._plan.sizes[row])
            return held

    def _dress(self, row: int, held: int) -> None:
        """Give a file its owner, mode, attributes and time; remember what it looks like."""
        rows, mode = self._rows, self._rows.modes[row]
        if self._exact:
            os.fchown(held, rows.uids[row], rows.gids[row])
            for name, value in rows.xattrs.get(row, ()):
                os.setxattr(held, name, value)
        if self._exact or rows.counts[row] > 1 or mode & self._masked != mode:
            os.fchmod(held, mode)
        when = rows.mtimes[row] if self._when is None else self._when
        os.utime(held, ns=(when, when))
        now = os.fstat(held)
        self._stamps[rows.paths[row]] = _stamp(now)

    def finish(self, base: str) -> Seen:
        """Make the links, then give the directories their modes and times."""
        rows = self._rows
        if any(self._left.values()):
            raise Damaged("a file of the tree lacks chunks")
        for row, target in rows.targets.items():
            with self._at(rows.paths[row]) as (where, name):
                if rows.kinds[row] == LINK:
                    os.symlink(target, name, dir_fd=where)
                    self._times(row, name, where)
        self._hard()
        for row in range(len(rows) - 1, -1, -1):
            with self._at(rows.paths[row]) as (where, name):
                if rows.kinds[row] == WHITEOUT:
                    os.mknod(name, stat.S_IFCHR | rows.modes[row], 0, dir_fd=where)
                    self._times(row, name, where)
                elif rows.kinds[row] == DIR:
                    self._directory(row, name, where)
        os.close(self._top)
        self._top = -1
        return Seen(base, time.time_ns(), self._stamps)

    def _hard(self) -> None:
        """Make further names of files; a file's change time is new with each."""
        rows = self._rows
        for row, target in rows.targets.items():
            if rows.kinds[row] != HARD:
                continue
            with self._at(target) as (there, old), self._at(rows.paths[row]) as (where, name):
                os.link(old, name, src_dir_fd=there, dst_dir_fd=where, follow_symlinks=False)
                self._stamps[target] = _stamp(os.stat(name, dir_fd=where, follow_symlinks=False))

    def _times(self, row: int, name: bytes, where: int) -> None:
        rows = self._rows
        if self._exact:
            os.chown(name, rows.uids[row], rows.gids[row], dir_fd=where, follow_symlinks=False)
        time_ns = (rows.mtimes[row], rows.mtimes[row])
        os.utime(name, ns=time_ns, dir_fd=where, follow_symlinks=False)

    def _directory(self, row: int, name: bytes, where: int) -> None:
        rows = self._rows
        held = os.open(name or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=where)
        try:
            if self._exact:
                os.fchown(held, rows.uids[row], rows.gids[row])
                for key, value in rows.xattrs.get(row, ()):
                    os.setxattr(held, key, value)
            os.fchmod(held, rows.modes[row])
            os.utime(held, ns=(rows.mtimes[row], rows.mtimes[row]))
        finally:
            os.close(held)

    def abandon(self) -> None:
        """Leave the directory empty."""
        if self._top >= 0:
            os.close(self._top)
            self._top = -1
            for directory, below, _ in os.walk(os.fsencode(self._into)):
                for name in below:
                    inner = os.path.join(directory, name)
                    if not os.path.islink(inner):
                        os.chmod(inner, 0o700)
            for item in list(os.scandir(self._into)):
                if item.is_dir(follow_symlinks=False):
                    shutil.rmtree(item.path)
                else:
                    os.unlink(item.path)

    @contextmanager
    def _at(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """Give a descriptor and a name relative to it that the kernel takes."""
        if len(path) < _LONG:
            yield self._top, path
            return
        parent, _, name = path.rpartition(b"/")
        with entered(self._top, parent) as held:
            yield held, name


def _write(held: int, content: bytes | memoryview, at: int) -> None:
    done = os.pwrite(held, content, at)
    view = memoryview(content)
    while done < len(view):
        done += os.pwrite(held, view[done:], at + done)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size


def _umask() -> int:
    """Read what the process masks; setting it to learn it would be seen by other threads."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o777
