"""Exclusion by digest between the processes of one store, for threads.

All locks are bytes of one empty file, as in the store's own `locks`: the kernel drops them
when their holder dies. Waiting is by trying again, so that whoever no longer needs the blob
can leave.
"""

import errno
import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.engine.digest import Digest
from pipelines.engine.errors import Cancelled

__all__ = ["Exclusion"]

_PAUSE = 0.05


class Exclusion:
    """The locks of one directory of images."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, digest: str, given_up: threading.Event) -> Iterator[None]:
        """Hold a digest's lock, waiting for it until `given_up`.

        Raises:
            Cancelled: it was given up.
        """
        offset = int(Digest.parse(digest).hex[:16], 16) >> 2
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A description of its own: threads of one process exclude each other, too.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _attempt(descriptor, offset):
                if given_up.wait(_PAUSE):
                    raise Cancelled("cancelled: nobody waits for this layer any more")
            yield
        finally:
            os.close(descriptor)


def _attempt(descriptor: int, offset: int) -> bool:
    # struct flock of 64-bit Linux: type, whence, start, length, pid (0 for OFD locks).
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
    except OSError as exc:
        if exc.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True
