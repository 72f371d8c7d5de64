"""Mirrors: what was fetched of git repositories, and what is known of downloads.

Theory of operation
    `git/<identity>/` holds a mirror's repositories, `lock` (held exclusively by whoever works
    on it, reading too) and `meta.json` (the address, for people; its mtime is the last use).
    Identities are digests: no text of a user becomes part of a path.

    A mirror is removed with its lock file, under its lock. So that nobody takes one meanwhile,
    taking is done under the shared and removing under the exclusive lock of `git.lock`.

    `http/<identity>.json` says what a download was: validators and the body's digest. The
    body is a file of the store like any other; if it is gone, the download is made again.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from pipelines.engine.digest import digest_json
from pipelines.engine.store.flocks import FileLock
from pipelines.engine.store.full import full
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.trash import discard
from pipelines.engine.store.volumes import measure

__all__ = ["Download", "Downloads", "Mirror", "Mirrors"]

_FIRST_WAIT = 0.002
_LONGEST_WAIT = 0.05


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror as `cache ls` and the collector see it; `used` is seconds since the epoch."""

    id: str
    url: str
    used: float
    size: int
    inodes: int


class Mirrors:
    """The store's mirrors of git repositories."""

    __slots__ = ("_layout",)

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[Path]:
        """Give a mirror's directory, for the length of the block to nobody else.

        Raises:
            StoreFull: no room to make it.
        """
        home = self._layout.git / digest_json(["git", url]).hex
        lock, pause = None, _FIRST_WAIT
        while lock is None:
            lock = await to_thread.run_sync(self._take, home, url)
            if lock is None:
                await anyio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_WAIT)
        try:
            yield home
        finally:
            with suppress(FileNotFoundError):
                os.utime(home / "meta.json")
            lock.close()

    def empty(self, home: Path) -> None:
        """Throw away what an open mirror holds, which proved to be damaged."""
        for name in os.listdir(home):
            if name.endswith(".git"):
                discard(self._layout, home / name)

    def _take(self, home: Path, url: str) -> FileLock | None:
        with full(f"make a mirror of {url}"), self._gate(shared=True):
            home.mkdir(mode=0o700, exist_ok=True)
            lock = FileLock(home / "lock")
            if not lock.attempt():
                lock.close()
                return None
            if not (home / "meta.json").exists():
                draft = home / "meta.json.new"
                draft.write_text(json.dumps({"url": url, "made": time.time()}))
                draft.rename(home / "meta.json")
            return lock

    @contextmanager
    def _gate(self, *, shared: bool) -> Iterator[None]:
        self._layout.git.mkdir(mode=0o700, exist_ok=True)
        gate = FileLock(self._layout.root / "git.lock")
        try:
            gate.wait(shared=shared)
            yield
        finally:
            gate.close()

    def list(self, *, sizes: bool = False) -> Iterator[Mirror]:
        """Yield the mirrors; `sizes` walks them, otherwise sizes are 0."""
        for name in _names(self._layout.git):
            home = self._layout.git / name
            meta, used = _read(home / "meta.json")
            size, inodes = measure(home) if sizes else (0, 0)
            yield Mirror(name, str(meta.get("url", "")), used, size, inodes)

    def remove(self, mirror_id: str) -> bool:
        """Remove a mirror that nobody has open; False if it is in use or not there."""
        home = self._layout.git / mirror_id
        with self._gate(shared=False):
            try:
                lock = FileLock(home / "lock")
            except FileNotFoundError:
                return False
            try:
                return lock.attempt() and discard(self._layout, home)
            finally:
                lock.close()


@dataclass(frozen=True, slots=True)
class Download:
    """What a download was: the body's hex sha-256 and size, and the server's validators."""

    url: str
    content: str
    size: int
    etag: str = ""
    modified: str = ""


class Downloads:
    """What the store knows of downloads, by a name that the caller makes."""

    __slots__ = ("_root",)

    def __init__(self, layout: Layout) -> None:
        self._root = layout.http

    def get(self, name: str) -> Download | None:
        """Look one up; whatever is damaged is not known."""
        path = self._root / f"{name}.json"
        meta, _ = _read(path)
        try:
            found = Download(**{key: meta[key] for key in Download.__slots__})
        except KeyError:
            return None
        with suppress(FileNotFoundError):
            os.utime(path)
        return found

    def put(self, name: str, download: Download) -> None:
        """Keep one."""
        with full(f"keep what is known of {download.url}"):
            self._root.mkdir(mode=0o700, exist_ok=True)
            draft = self._root / f"{name}.{os.getpid()}.new"
            fields = {key: getattr(download, key) for key in Download.__slots__}
            draft.write_text(json.dumps(fields))
            draft.rename(self._root / f"{name}.json")

    def list(self) -> Iterator[tuple[str, float]]:
        """Yield every name with its last use."""
        for name in _names(self._root):
            with suppress(FileNotFoundError):
                yield name, (self._root / name).stat().st_mtime

    def remove(self, name: str) -> None:
        """Forget one, by the name that `list` gives."""
        (self._root / name).unlink(missing_ok=True)


def _names(root: Path) -> list[str]:
    try:
        return sorted(os.listdir(root))
    except FileNotFoundError:
        return []


def _read(path: Path) -> tuple[Mapping[str, Any], float]:
    try:
        meta = json.loads(path.read_bytes())
        return (meta if isinstance(meta, dict) else {}), path.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return {}, 0.0
