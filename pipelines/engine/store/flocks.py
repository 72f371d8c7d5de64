"""Whole-file locks that the kernel drops when their holder dies."""

import errno
import fcntl
import os
from pathlib import Path

import anyio

__all__ = ["FileLock"]

_FIRST_WAIT = 0.002
_LONGEST_WAIT = 0.05


class FileLock:
    """A lock file held open.

    A lock counts only while its file still has its name: whoever removes a directory with its
    lock files holds their locks, so after getting one it has to be looked up again.
    """

    __slots__ = ("fd", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Give the lock up."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def attempt(self, *, shared: bool = False) -> bool:
        """Take the lock if nobody holds it in a way that excludes us."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in {errno.EAGAIN, errno.EACCES}:
                return False
            raise
        return True

    def wait(self, *, shared: bool = False) -> None:
        """Take the lock, blocking the thread."""
        fcntl.flock(self.fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    async def acquire(self, *, shared: bool = False) -> None:
        """Take the lock, waiting for as long as it takes; can be cancelled."""
        pause = _FIRST_WAIT
        while not self.attempt(shared=shared):
            await anyio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_WAIT)

    def named(self) -> bool:
        """Whether the file still has its name."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        here = os.fstat(self.fd)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
