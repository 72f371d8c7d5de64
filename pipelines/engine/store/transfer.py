"""Bytes of regular files: hash them, copy them in, link them or copy where a link is refused."""

import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path

from pipelines.engine.errors import SourceError
from pipelines.engine.store.full import is_full
from pipelines.engine.store.incoming import Incoming
from pipelines.engine.tree import Entry

__all__ = ["copy_in", "copy_out", "hash_file", "hexdigest", "link_refused"]

_PIECE = 1 << 18
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)


def hexdigest(data: bytes) -> str:
    """Hash bytes: the hex sha-256."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path | str) -> str:
    """Hash a file's content in constant memory: the hex sha-256."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link_refused(exc: OSError) -> bool:
    """Whether a copy can stand in for a hard link that failed.

    EMLINK is too many links, EXDEV another mount, EPERM a file system or kernel rule
    (`fs.protected_hardlinks`) against links.
    """
    return exc.errno in {errno.EMLINK, errno.EXDEV, errno.EPERM}


def copy_in(source: Path | str, file: Incoming, entry: Entry) -> None:
    """Copy a regular file's bytes, hashing what arrives.

    Raises:
        SourceError: not readable, not a regular file, or not the entry's content any more.
    """
    try:
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise SourceError(f"can not read {source}: {exc.strerror}") from exc
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SourceError(f"can not read {source}: it is no regular file any more")
        seen = _copy(fd, file, entry.size, source)
    finally:
        os.close(fd)
    if seen != entry.content:
        raise SourceError(
            f"{source} changed while it was read (expected sha256 {entry.content}, "
            f"got {seen}); run again when nothing writes to it"
        )


def _copy(fd: int, file: Incoming, size: int, source: Path | str) -> str:
    if size >= _PIECE and _reflink(fd, file.fd):
        # What was cloned is hashed, not what the source holds by now.
        os.lseek(file.fd, 0, os.SEEK_SET)
        return _hash_fd(file.fd)
    digest = hashlib.sha256()
    while piece := _read(fd, source):
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


def _read(fd: int, source: Path | str) -> bytes:
    try:
        return os.read(fd, _PIECE)
    except OSError as exc:
        raise SourceError(f"can not read {source}: {exc.strerror}") from exc


def _reflink(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as exc:
        if is_full(exc):
            raise
        return False
    return True


def _hash_fd(fd: int) -> str:
    digest = hashlib.sha256()
    while piece := os.read(fd, _PIECE):
        digest.update(piece)
    return digest.hexdigest()


def copy_out(source: str, target: str, target_dir: int) -> None:
    """Copy a file of the store with mode, owner and times, to where it can not be linked."""
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        write = os.open(target, flags, 0o600, dir_fd=target_dir)
        try:
            _pour(read, write)
            found = os.fstat(read)
            if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(write, found.st_uid, found.st_gid)
            os.fchmod(write, stat.S_IMODE(found.st_mode))
            os.utime(write, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(write)
    finally:
        os.close(read)


def _pour(read: int, write: int) -> None:
    if _reflink(read, write):
        return
    left = os.fstat(read).st_size
    while left > 0:
        # sendfile(2) copies between any two files; copy_file_range only within one mount.
        sent = os.sendfile(write, read, None, left)
        if sent == 0:
            break
        left -= sent
