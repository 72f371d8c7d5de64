"""Cache volumes: directories that outlive builds and are never part of a key.

Theory of operation
    A volume's identity is the digest of its key and namespace; a user's text never becomes
    part of a path. Its owner counts when it is made, for what seeds it too, and never again.
    With `owners` False (a user namespace that maps a single id) everything is 0:0.

    `volumes/<identity>/` holds

        data          the contents; PRIVATE users that find it taken use data.1, data.2, …
        lock[.n]      held shared by SHARED users, exclusively by the others
        meta.json     key and namespace, for people; its mtime is the last use
        uses          a byte for every use since it was last tended
        looks.json    see `gocache.py`

    Contents appear by one rename, seeded and owned, made by whoever holds the lock
    exclusively; what a dead maker left half-made is thrown away by the next.

    A volume is removed with its lock files, under all of their locks. So that nobody makes
    or takes one of them meanwhile, taking is done under the shared and removing under the
    exclusive lock of `volumes.lock`, which nobody holds for longer than that takes.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from pipelines.engine.digest import digest_json
from pipelines.engine.op import CacheVolume
from pipelines.engine.store import gocache
from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.flocks import FileLock
from pipelines.engine.store.full import full
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.trash import discard

__all__ = ["Fill", "Volume", "Volumes", "identity", "measure"]

Fill = Callable[[Path], None]

_OFTEN = 6  # uses between two looks at a build cache
_FIRST_WAIT = 0.002
_LONGEST_WAIT = 0.05


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as `cache ls` and the collector see it; `used` is seconds since the epoch."""

    id: str
    key: str
    namespace: str
    used: float
    size: int
    inodes: int


def identity(volume: CacheVolume) -> str:
    """Name a volume on disk: 64 hex digits."""
    return digest_json([volume.key, volume.namespace]).hex


class Volumes:
    """The store's cache volumes."""

    __slots__ = ("_layout", "_owners")

    def __init__(self, layout: Layout, *, owners: bool = True) -> None:
        self._layout = layout
        self._owners = owners

    @asynccontextmanager
    async def open(self, volume: CacheVolume, fill: Fill | None = None) -> AsyncIterator[Path]:
        """Give the volume's directory for the length of the block.

        `fill` puts the seed into the empty directory when the volume is made. LOCKED waits
        until nobody has it, SHARED until nobody has it LOCKED, PRIVATE never waits.

        Raises:
            StoreFull: no room to make it.
        """
        path, lock = await self._acquire(volume, fill)
        try:
            yield path
        finally:
            self._touch(path.parent)
            lock.close()

    def has(self, volume: CacheVolume) -> bool:
        """Whether the volume was made; if not, the next to open it is the one to seed it."""
        return (self._layout.volumes / identity(volume) / "data").exists()

    @contextmanager
    def still(self, volume: CacheVolume) -> Iterator[Path | None]:
        """Hold a volume so that nobody writes to it; None, at once, if somebody may.

        Gives the directory whose `data` are the contents. Copies of a PRIVATE one do not count.
        """
        home = self._layout.volumes / identity(volume)
        lock, held = None, False
        with suppress(FileNotFoundError), self._gate(shared=True):
            lock = FileLock(home / "lock")
            held = lock.attempt() and (home / "data").exists()
        try:
            yield home if held else None
        finally:
            if lock is not None:
                lock.close()

    async def _acquire(self, volume: CacheVolume, fill: Fill | None) -> tuple[Path, FileLock]:
        home = self._layout.volumes / identity(volume)
        pause, copy = _FIRST_WAIT, 0
        while True:
            lock = await anyio.to_thread.run_sync(self._attempt, home, volume, copy, fill)
            if lock is not None:
                return home / _numbered("data", copy), lock
            if volume.sharing == "PRIVATE":
                copy += 1
                continue
            await anyio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_WAIT)

    def _attempt(
        self, home: Path, volume: CacheVolume, copy: int, fill: Fill | None
    ) -> FileLock | None:
        """Take a copy's lock, making the copy if need be; None if it is taken."""
        shared = volume.sharing == "SHARED"
        data = home / _numbered("data", copy)
        with full(f"make the cache volume {volume.key!r}"):
            while True:
                made = data.exists()
                lock = self._take(home, copy, shared=shared and made)
                if lock is None:
                    return None
                try:
                    if data.exists() == made and self._ready(lock, volume, data, fill):
                        return lock
                except BaseException:
                    lock.close()
                    raise
                # Removed, or taken by another, between two looks: begin again.
                lock.close()

    def _take(self, home: Path, copy: int, *, shared: bool) -> FileLock | None:
        with self._gate(shared=True):
            home.mkdir(mode=0o700, exist_ok=True)
            lock = FileLock(home / _numbered("lock", copy))
            if lock.attempt(shared=shared):
                return lock
        lock.close()
        return None

    def _ready(self, lock: FileLock, volume: CacheVolume, data: Path, fill: Fill | None) -> bool:
        """Make the contents if there are none, then hold the lock as `sharing` says."""
        if data.exists():
            return True
        self._make(data.parent, data, volume, fill)
        if volume.sharing != "SHARED":
            return True
        # Changing an exclusive lock into a shared one lets others in for a moment.
        with self._gate(shared=True):
            return lock.attempt(shared=True) and lock.named() and data.exists()

    @contextmanager
    def _gate(self, *, shared: bool) -> Iterator[None]:
        gate = FileLock(self._layout.root / "volumes.lock")
        try:
            gate.wait(shared=shared)
            yield
        finally:
            gate.close()

    def _make(self, home: Path, data: Path, volume: CacheVolume, fill: Fill | None) -> None:
        draft = home / f"{data.name}.new"
        discard(self._layout, draft)
        draft.mkdir(mode=0o755)
        draft.chmod(0o755)
        if fill is not None:
            fill(draft)
            gocache.settle(draft, time.time())
        if volume.mode is not None:
            draft.chmod(volume.mode)
        if volume.owner and self._owners:
            uid, _, gid = volume.owner.partition(":")
            _give(draft, int(uid), int(gid or uid))
        crashpoint("volume.filled")
        meta = {"key": volume.key, "namespace": volume.namespace, "made": time.time()}
        # Copies are made under locks of their own, so at once: each has a draft of its own.
        described = home / f"{data.name}.meta.new"
        described.write_text(json.dumps(meta))
        described.rename(home / "meta.json")
        draft.rename(data)
        crashpoint("volume.made")

    def list(self, *, sizes: bool = False) -> Iterator[Volume]:
        """Yield the volumes; `sizes` walks them, otherwise sizes are 0."""
        for name in sorted(os.listdir(self._layout.volumes)):
            home = self._layout.volumes / name
            try:
                meta = json.loads((home / "meta.json").read_bytes())
                used = (home / "meta.json").stat().st_mtime
            except (FileNotFoundError, ValueError):
                meta, used = {}, 0.0
            size, inodes = measure(home) if sizes else (0, 0)
            key, namespace = str(meta.get("key", "")), str(meta.get("namespace", ""))
            yield Volume(name, key, namespace, used, size, inodes)

    def remove(self, volume_id: str) -> bool:
        """Remove a volume that nobody has open; False if it is in use or not there."""
        home = self._layout.volumes / volume_id
        locks: list[FileLock] = []
        with self._gate(shared=False):
            try:
                for name in sorted(n for n in os.listdir(home) if n.split(".")[0] == "lock"):
                    locks.append(FileLock(home / name))
                    if not locks[-1].attempt():
                        return False
                return discard(self._layout, home)
            except FileNotFoundError:
                return False
            finally:
                for lock in locks:
                    lock.close()

    def tend(self) -> int:
        """Trim the build cache that was used most often since it was last trimmed.

        Only one, and none that somebody has open: a session's end is waited for. Gives the bytes.
        """
        for uses, home in sorted(self._often(), reverse=True):
            if uses < _OFTEN or not gocache.is_gocache(home / "data"):
                continue
            with self._gate(shared=True):
                if not home.exists():
                    continue
                lock = FileLock(home / "lock")
                taken = lock.attempt()
            try:
                if taken:
                    os.truncate(home / "uses", 0)
                    return gocache.trim(home / "data", home / "looks.json", time.time())
            finally:
                lock.close()
        return 0

    def _often(self) -> Iterator[tuple[int, Path]]:
        for name in os.listdir(self._layout.volumes):
            home = self._layout.volumes / name
            with suppress(FileNotFoundError):
                yield (home / "uses").stat().st_size, home

    def _touch(self, home: Path) -> None:
        # Losing a last use is no reason to fail a build.
        with suppress(OSError):
            os.utime(home / "meta.json")
            uses = os.open(home / "uses", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
            try:
                os.write(uses, b".")
            finally:
                os.close(uses)


def _give(top: Path, uid: int, gid: int) -> None:
    """Give a directory and all in it to an owner."""
    os.chown(top, uid, gid)
    for directory, below, names in os.walk(top):
        for name in (*below, *names):
            os.chown(os.path.join(directory, name), uid, gid, follow_symlinks=False)


def _numbered(name: str, copy: int) -> str:
    return f"{name}.{copy}" if copy else name


def measure(top: Path) -> tuple[int, int]:
    """Add up the bytes on disk and the inodes below a directory, a linked file once."""
    size, seen, below = 0, set(), [str(top)]
    while below:
        try:
            found = list(os.scandir(below.pop()))
        except (FileNotFoundError, PermissionError):
            continue
        for item in found:
            try:
                status = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if item.is_dir(follow_symlinks=False):
                below.append(item.path)
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                size += status.st_blocks * 512
    return size, len(seen)
