"""What a power cut can take back.

Theory of operation
    Nothing is fsynced on the hot path, so after a power cut or a kernel crash the newest
    files may be empty or torn while their names are there. Within one boot of the machine
    that can not happen: the kernel shows every process the same files.

    `durable` holds the boot id under which the store was last used, and a time: everything
    whose ctime is not later is on the disk. A clean session end calls `syncfs` and moves the
    time. The first session under another boot id distrusts what is newer: blobs and files are
    hashed again and removed if they are not what their names say (what could be read back
    after the boot is on the disk by now), layers and stat caches are thrown away. Records do
    the same for their rows: see `records.py`.
"""

import ctypes
import json
import os
import time
from pathlib import Path

from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.files import Files
from pipelines.engine.store.flocks import FileLock
from pipelines.engine.store.full import full
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.trash import discard

__all__ = ["boot_id", "recheck", "sync"]

# ctime comes from the kernel's coarse clock, which lags by up to a tick.
_CLOCK_LAG = 0.1


def boot_id() -> str:
    """Name this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def sync(layout: Layout, boot: str) -> float:
    """Write out the store's file system; give the time before which all is on the disk."""
    before = time.time() - _CLOCK_LAG
    fd = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _syncfs(fd)
        crashpoint("durable.synced")
        _write_mark(layout, boot, before)
    finally:
        os.close(fd)
    return before


def _syncfs(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def recheck(layout: Layout, boot: str) -> int:
    """Under a new boot id, drop what did not survive; give how many things were dropped."""
    if _read_mark(layout)[0] == boot:
        return 0
    lock = FileLock(layout.root / "durable.lock")
    try:
        lock.wait()
        marked, at = _read_mark(layout)
        if marked == boot:
            return 0
        dropped = _recheck_content(layout, at) + _drop_newer(layout, at) if marked else 0
        _write_mark(layout, boot, time.time() - _CLOCK_LAG if marked else 0.0)
        return dropped
    finally:
        lock.close()


def _recheck_content(layout: Layout, at: float) -> int:
    blobs, files, dropped = Blobs(layout), Files(layout), 0
    for digest, found in blobs.entries():
        if found.st_ctime > at and not blobs.check(digest):
            blobs.remove(digest)
            dropped += 1
    for name, found in files.entries():
        if found.st_ctime > at and not files.check_content(name):
            files.remove(name)
            dropped += 1
    return dropped


def _drop_newer(layout: Layout, at: float) -> int:
    dropped = 0
    for directory in (layout.snapshots, layout.stat):
        for name in os.listdir(directory):
            path = directory / name
            if os.lstat(path).st_ctime > at:
                dropped += discard(layout, path)
    return dropped


def _read_mark(layout: Layout) -> tuple[str, float]:
    """Give the boot id and time; a missing or torn mark says that nothing is on the disk."""
    try:
        found = json.loads(layout.durable.read_bytes())
        return str(found["boot"]), float(found["at"])
    except FileNotFoundError:
        return "", 0.0
    except (ValueError, KeyError, TypeError):
        return "unknown", 0.0


def _write_mark(layout: Layout, boot: str, at: float) -> None:
    draft = layout.root / f"durable.{os.getpid()}"
    with full("note what is on the disk"):
        with draft.open("wb") as file:
            file.write(json.dumps({"boot": boot, "at": at}).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.rename(layout.durable)
