"""Files cut into chunks.

A file of up to 64 KiB is one chunk; of a larger one the content decides where chunks end
(FastCDC, about 64 KiB), so that an insertion moves one boundary and not all that follow. Holes
of sparse files are not read. A file that changes while it is read is read again.

What cuts has no say in what is right: chunks are verified by digest, wherever they end.
"""

import errno
import os
from collections.abc import Container, Iterator
from dataclasses import dataclass

from blake3 import blake3
from fastcdc import fastcdc  # type: ignore[import-untyped]

from pipelines.caches.scan import Found

__all__ = ["HUGE", "LARGEST", "WHOLE", "Piece", "Unsteady", "cut", "pieces", "streamed"]

WHOLE = 64 << 10  # files up to this are one chunk
SMALLEST, AVERAGE, LARGEST = 16 << 10, 64 << 10, 256 << 10
HUGE = 64 << 20  # larger files are read in windows
_HOLE = 1 << 20
_ZEROS = bytes(LARGEST)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TRIES = 3


class Unsteady(Exception):
    """A file changes faster than it can be read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of a file; without its bytes if they are known already."""

    digest: bytes
    length: int
    content: bytes | memoryview | None


def cut(row: Found, directory: int, known: Container[bytes]) -> list[Piece]:
    """Read a file whose directory is open; its row is brought up to date.

    Raises:
        Unsteady: it changed each time.
        OSError: it can not be read.
    """
    for _ in range(_TRIES):
        held = os.open(os.path.basename(row.path), _READ, dir_fd=directory)
        try:
            made = list(pieces(held, row.size, known))
            if _steady(row, held, sum(piece.length for piece in made)):
                return made
        finally:
            os.close(held)
    raise Unsteady(f"{row.path!r} changes while it is saved")


def streamed(row: Found, directory: int, known: Container[bytes]) -> Iterator[Piece]:
    """Read a file without holding it in memory; it gets one try."""
    held = os.open(os.path.basename(row.path), _READ, dir_fd=directory)
    try:
        length = 0
        for piece in pieces(held, row.size, known):
            length += piece.length
            yield piece
        if not _steady(row, held, length):
            raise Unsteady(f"{row.path!r} changes while it is saved")
    finally:
        os.close(held)


def _steady(row: Found, held: int, length: int) -> bool:
    """Whether a file is still what the row says; if not, the row says what it is now."""
    now = os.fstat(held)
    stamp = (now.st_ino, now.st_ctime_ns, now.st_mtime_ns, now.st_size)
    if stamp == row.stamp and length == now.st_size:
        return True
    row.stamp, row.mtime, row.size = stamp, now.st_mtime_ns, now.st_size
    return False


def pieces(held: int, size: int, known: Container[bytes]) -> Iterator[Piece]:
    """Cut what a descriptor gives."""
    if size <= WHOLE:
        if content := os.read(held, size + 1):
            yield _piece(content, known)
        return
    for start, stop, hole in _runs(held, size):
        yield from _zeros(stop - start, known) if hole else _windows(held, start, stop, known)


def _runs(held: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """Yield runs of data and of holes that are worth their while."""
    if os.fstat(held).st_blocks * 512 >= size - _HOLE:
        yield 0, size, False
        return
    at = 0
    while at < size:
        try:
            begin = os.lseek(held, at, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno != errno.ENXIO:
                raise
            begin = size
        end = begin if begin >= size else os.lseek(held, begin, os.SEEK_HOLE)
        if begin > at:
            yield at, begin, True
        if end > begin:
            yield begin, end, False
        at = max(begin, end)


def _windows(held: int, start: int, stop: int, known: Container[bytes]) -> Iterator[Piece]:
    """Cut a run of data; of a window that is not the last, what its last chunk was is cut again."""
    while start < stop:
        size = min(HUGE, stop - start)
        window = memoryview(_read(held, start, size))
        last = start + len(window) >= stop or len(window) < size
        done = 0
        for chunk in fastcdc(window, SMALLEST, AVERAGE, LARGEST):
            end = chunk.offset + chunk.length
            if end == len(window) and not last and chunk.length < LARGEST:
                break
            yield _piece(window[chunk.offset : end], known)
            done = end
        if last:
            return
        start += done


def _read(held: int, start: int, size: int) -> bytearray:
    window = bytearray(size)
    view, got = memoryview(window), 0
    while got < size:
        count = os.preadv(held, [view[got:]], start + got)
        if count == 0:
            break
        got += count
    view.release()
    del window[got:]
    return window


def _zeros(length: int, known: Container[bytes]) -> Iterator[Piece]:
    whole = _piece(_ZEROS, known)
    for _ in range(length // LARGEST):
        yield whole
    if rest := length % LARGEST:
        yield _piece(_ZEROS[:rest], known)


def _piece(content: bytes | memoryview, known: Container[bytes]) -> Piece:
    digest = blake3(content).digest()
    return Piece(digest, len(content), None if digest in known else content)
