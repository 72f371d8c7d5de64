"""Locks by key, across processes.

Theory of operation
    All locks live in one empty file: a key's lock is the byte at the offset that the key's
    first 62 bits give. Open-file-description locks are dropped by the kernel when the process
    dies, and two descriptions exclude each other even within one process. Within one `Locks`
    a set says which bytes are held, because one description never conflicts with itself.
    Waiting is by trying again: a blocking lock call can not be cancelled. Two keys that share
    62 bits only wait for each other.
"""

import errno
import fcntl
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from pipelines.engine.digest import Digest
from pipelines.engine.store.layout import Layout

__all__ = ["Locks"]

_FIRST_WAIT = 0.002
_LONGEST_WAIT = 0.05


class Locks:
    """The locks of one store, seen by one process."""

    __slots__ = ("_fd", "_held")

    def __init__(self, layout: Layout) -> None:
        self._fd = os.open(layout.locks, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held: set[int] = set()

    def close(self) -> None:
        """Give up every lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @asynccontextmanager
    async def locked(self, key: Digest) -> AsyncIterator[None]:
        """Hold a key's lock for the length of the block, waiting for it as long as it takes."""
        offset = int(key.hex[:16], 16) >> 2
        wait = _FIRST_WAIT
        while not self._try(offset):
            await anyio.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)
        try:
            yield
        finally:
            self._held.discard(offset)
            if self._fd >= 0:
                self._set(fcntl.F_UNLCK, offset)

    def _try(self, offset: int) -> bool:
        # No await between the test and the addition: the event loop makes it atomic.
        if offset in self._held:
            return False
        try:
            self._set(fcntl.F_WRLCK, offset)
        except OSError as exc:
            if exc.errno in {errno.EAGAIN, errno.EACCES}:
                return False
            raise
        self._held.add(offset)
        return True

    def _set(self, kind: int, offset: int) -> None:
        # struct flock of 64-bit Linux: type, whence, start, length, pid (0 for OFD locks).
        request = struct.pack("hhqqi4x", kind, os.SEEK_SET, offset, 1, 0)
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, request)
