"""Rooms: directories to work in that do not outlive whoever works in them.

A room is locked while it is in use, and a killed process locks nothing; so whoever opens the
next room first removes those that are there and not locked.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["room"]

_PREFIX = "room-"


@contextmanager
def room(scratch: Path) -> Iterator[Path]:
    """Hold an empty directory below `scratch`, which is made if it is missing."""
    scratch.mkdir(parents=True, exist_ok=True)
    with _opened(scratch) as parent:
        fcntl.flock(parent, fcntl.LOCK_EX)
        _sweep(scratch)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=scratch))
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def _sweep(scratch: Path) -> None:
    for path in scratch.glob(f"{_PREFIX}*"):
        try:
            with _opened(path) as left:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except OSError:  # in use, or gone by now
            continue


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
