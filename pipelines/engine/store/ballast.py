"""Room for the last words: a file to throw overboard when the disk is full.

To make room the collector has to write first (delete rows), which a full disk refuses. The
ballast is set aside while there is plenty, and given up for exactly that.
"""

import os
from contextlib import suppress

from pipelines.engine.store.layout import Layout
from pipelines.engine.store.policy import Disk

__all__ = ["drop", "take_aboard"]

_SIZE = 16 << 20
_PLENTY = 64 * _SIZE


def take_aboard(layout: Layout) -> None:
    """Set the ballast aside, if it is not there and there is plenty of room."""
    path = layout.root / "ballast"
    if path.exists() or Disk.of(layout.root).free < _PLENTY:
        return
    # Not every file system can allocate without writing: then there is none.
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)
        finally:
            os.close(fd)


def drop(layout: Layout) -> bool:
    """Give the ballast up; False if there was none."""
    try:
        (layout.root / "ballast").unlink()
    except FileNotFoundError:
        return False
    return True
