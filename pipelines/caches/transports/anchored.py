"""A directory's files, reached without following links: the system calls of `directory`.

A directory transport may be writable by others than us: a disk that jobs share, a cache that
a pull request saved. So nothing in it is reached by a path: every step is an `openat` that
refuses links, and what is not a regular file is not there. Opening does not wait (a FIFO in
place of a pack would hang), and nothing outside of the root is read, written or deleted,
whatever links were put in.

A file appears whole or not at all: written without a name (`O_TMPFILE`) and then linked, or,
where the file system has no such files, under a name in `.incoming`. Linking is exclusive on
every file system that can link, NFS too; there, an answer that was lost makes the client ask
twice and be told that the name is taken, by itself. The number of links tells.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex

from pipelines.caches.arrivals import arrived

__all__ = ["Anchored"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
INCOMING = ".incoming"
_PIECE = 4 << 20
_STALE = 24 * 3600.0  # seconds after which a writer that left a file behind is surely dead
# What file systems say that have no files without names, no links, or a kernel without the flag.
_UNABLE = frozenset(
    {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EISDIR, errno.ENOENT}
)


class Anchored:
    """The files below a root, by the parts of their names; every call may raise OSError."""

    def __init__(self, root: str, *, unnamed: bool = True, links: bool = True) -> None:
        """Neither reads nor writes; `unnamed` and `links` say what the file system can do."""
        self.root = root
        self._unnamed = unnamed
        self._links = links

    @contextmanager
    def inside(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """Open a directory; `make` makes what is missing of it.

        Raises:
            NotADirectoryError: a part of it is a link or a file.
        """
        if make:
            os.makedirs(self.root, exist_ok=True)
        at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=at)
                following = os.open(part, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = following
            yield at
        finally:
            os.close(at)

    def read(self, parts: tuple[str, ...], start: int, length: int) -> tuple[bytes, int]:
        """Read up to `length` bytes; give them and the file's size."""
        with self.inside(parts[:-1]) as at, _regular(parts[-1], at) as fd:
            size = os.fstat(fd).st_size
            wanted = max(0, min(length, size - start))
            pieces = []
            while wanted and (piece := os.pread(fd, min(wanted, _PIECE), start)):
                pieces.append(piece)
                arrived(len(piece))
                start += len(piece)
                wanted -= len(piece)
            return b"".join(pieces), size

    def size(self, parts: tuple[str, ...]) -> int | None:
        """Give a file's size; None if there is none."""
        with suppress(FileNotFoundError), self.inside(parts[:-1]) as at:
            with _regular(parts[-1], at) as fd:
                return os.fstat(fd).st_size
        return None

    def create(
        self, parts: tuple[str, ...], content: bytes, still: Callable[[], bool] | None = None
    ) -> bool:
        """Write a file unless the name is taken, by whatever; tell whether it was free.

        With `still` the name is taken first, and given back if then `still()` is false.
        """
        with self.inside(parts[:-1], make=True) as at:
            if still is not None:
                return self._create_named(at, parts[-1], content, still)
            if self._unnamed:
                made = _create_unnamed(at, parts[-1], content)
                if made is not None:
                    return made
                self._unnamed = False
            return self._create_named(at, parts[-1], content)

    def replace(self, parts: tuple[str, ...], content: bytes) -> None:
        """Write a file in place of what has its name."""
        with self.inside((INCOMING,), make=True) as incoming:
            name = _named(incoming, content)
            with self.inside(parts[:-1], make=True) as at:
                os.rename(name, parts[-1], src_dir_fd=incoming, dst_dir_fd=at)

    def unlink(self, parts: tuple[str, ...]) -> None:
        """Remove a file, or a link itself; it may be gone."""
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            with self.inside(parts[:-1]) as at:
                os.unlink(parts[-1], dir_fd=at)

    def remove(self, parts: tuple[str, ...]) -> None:
        """Remove an empty directory; it may be gone, or not be empty."""
        with suppress(OSError), self.inside(parts[:-1]) as at:
            os.rmdir(parts[-1], dir_fd=at)

    def entries(self, parts: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
        """List a directory: names, and what is there itself, be it a link."""
        found = []
        with suppress(FileNotFoundError, NotADirectoryError), self.inside(parts) as at:
            for name in os.listdir(at):
                with suppress(FileNotFoundError):
                    found.append((name, os.stat(name, dir_fd=at, follow_symlinks=False)))
        return found

    def _create_named(
        self, at: int, name: str, content: bytes, still: Callable[[], bool] | None = None
    ) -> bool:
        with self.inside((INCOMING,), make=True) as incoming:
            ours = _named(incoming, content)
            try:
                if still is not None:
                    return _exclusive(incoming, ours, at, name, still)
                if self._links:
                    with suppress(FileExistsError):
                        os.link(ours, name, src_dir_fd=incoming, dst_dir_fd=at)
                    return _same(incoming, ours, at, name)
                return _exclusive(incoming, ours, at, name)
            except OSError as exc:
                if not self._links or exc.errno not in _UNABLE:
                    raise
                self._links = False
                return _exclusive(incoming, ours, at, name)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(ours, dir_fd=incoming)


def _create_unnamed(at: int, name: str, content: bytes) -> bool | None:
    """Write a file without a name, then name it; None where that can not be done."""
    try:
        fd = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=at)
    except OSError as exc:
        if exc.errno in _UNABLE:
            return None
        raise
    try:
        _fill(fd, content)
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=at, follow_symlinks=True)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno in _UNABLE:
            return None
        raise
    finally:
        os.close(fd)
    return True


def _exclusive(
    source: int, ours: str, at: int, name: str, still: Callable[[], bool] = lambda: True
) -> bool:
    """Give a file its name where there are no links: take the name, then rename over it."""
    try:
        os.close(os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=at))
    except FileExistsError:
        return False
    if not still():
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=at)
        return False
    os.rename(ours, name, src_dir_fd=source, dst_dir_fd=at)
    return True


def _same(source: int, ours: str, at: int, name: str) -> bool:
    """Tell whether the name is our own file's: NFS may have asked twice."""
    one = os.stat(ours, dir_fd=source, follow_symlinks=False)
    other = os.stat(name, dir_fd=at, follow_symlinks=False)
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


@contextmanager
def _regular(name: str, at: int) -> Iterator[int]:
    """Open a regular file; anything else is not there."""
    try:
        fd = os.open(name, _READ, dir_fd=at)
    except OSError as exc:
        if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise FileNotFoundError(f"{name} is a link") from exc
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FileNotFoundError(f"{name} is not a file")
        yield fd
    finally:
        os.close(fd)


def _named(incoming: int, content: bytes) -> str:
    """Write a file of a random name; clear away what dead writers left."""
    _sweep(incoming)
    name = token_hex(12)
    fd = os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=incoming)
    try:
        _fill(fd, content)
    except BaseException:
        os.unlink(name, dir_fd=incoming)
        raise
    finally:
        os.close(fd)
    return name


def _sweep(incoming: int) -> None:
    for name in os.listdir(incoming):
        with suppress(OSError):
            status = os.stat(name, dir_fd=incoming, follow_symlinks=False)
            if status.st_mtime < time.time() - _STALE:
                os.unlink(name, dir_fd=incoming)


def _fill(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
