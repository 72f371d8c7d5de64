"""Who is alive, and what is left of those who are not.

Theory of operation
    A session's lease is a file that it holds locked; the kernel drops the lock when the
    process dies, however it dies. So a lease file that can be locked is dead, and what it
    worked on, `active/<id>`, is nobody's. Recovery is part of taking a lease: cheap (two
    directory listings) when there is nothing to do, and what it finds it only renames into
    the trash, because unlinking right before a build makes the build slow.

    A session also holds `gc.lock` shared. Content (layers, blobs, files, rows) is collected
    only by a process that holds `gc.lock` exclusively: while any session is alive nothing
    that it may have looked up, or found to be there already and not written again, goes
    away. Cache volumes have locks of their own and may go whenever nobody has them open.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.engine.store.ballast import take_aboard
from pipelines.engine.store.boot import boot_id, recheck
from pipelines.engine.store.flocks import FileLock
from pipelines.engine.store.full import full
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.trash import discard, empty

__all__ = ["Lease", "recover"]


class Lease:
    """One live session on the store; a context that releases itself."""

    __slots__ = ("_gc", "_layout", "_lock", "id", "path")

    def __init__(self, layout: Layout, name: str, lock: FileLock, gc: FileLock) -> None:
        self._layout = layout
        self._lock = lock
        self._gc = gc
        self.id = name
        self.path = layout.active / name

    @classmethod
    def take(cls, layout: Layout, boot: str | None = None) -> "Lease":
        """Take a lease, after recovering from sessions that died.

        Raises:
            StoreFull: no room for it.
        """
        with full("take a lease on the store"):
            gc = FileLock(layout.gc_lock)
            gc.wait(shared=True)
            recheck(layout, boot or boot_id())
            recover(layout)
            while True:
                name = secrets.token_hex(8)
                lock = FileLock(layout.leases / name)
                # Recovery may find the file before it is locked, and remove it.
                if lock.attempt() and lock.named():
                    break
                lock.close()
            lease = cls(layout, name, lock, gc)
            lease.path.mkdir(mode=0o700)
            take_aboard(layout)
            return lease

    def release(self) -> None:
        """End the session: its work in flight goes, then its lease, then the trash."""
        if self._lock.fd < 0:
            return
        discard(self._layout, self.path)
        self._lock.path.unlink(missing_ok=True)
        self._lock.close()
        self._gc.close()
        empty(self._layout)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Say whether this is the only live session, and keep others out meanwhile.

        Only for a session with nothing in flight: others may sweep before and after.
        """
        try:
            yield self._gc.attempt()
        finally:
            self._gc.wait(shared=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def recover(layout: Layout) -> int:
    """Take what dead sessions left out of sight; give how many there were."""
    dead = 0
    for name in os.listdir(layout.leases):
        dead += _bury(layout, layout.leases / name)
    for name in os.listdir(layout.incoming):
        with suppress(FileNotFoundError):
            _drop_unlocked(layout.incoming / name)
    return dead


def _bury(layout: Layout, path: Path) -> bool:
    lock = FileLock(path)
    try:
        if not lock.attempt() or not lock.named():
            return False
        # The lease goes last: a crash in between leaves it for the next start.
        discard(layout, layout.active / path.name)
        path.unlink(missing_ok=True)
        return True
    finally:
        lock.close()


def _drop_unlocked(path: Path) -> None:
    lock = FileLock(path)
    try:
        if lock.attempt():
            path.unlink(missing_ok=True)
    finally:
        lock.close()
