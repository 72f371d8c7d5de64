"""Cache volumes that travel: filled when they are made, saved when the session ends.

Theory of operation
    A volume is restored by whoever makes it, in the draft that becomes the volume by one rename
    (`store.volumes`), under its lock: of two sessions that want one volume, one restores it and
    the other waits; who is killed meanwhile leaves a draft that the next maker throws away. What
    does not come whole is taken away again, and the volume begins as it would without a cache.

    Beside the contents stand which generation they are based on and what the files looked like
    then (`travel`), so that a save reads only what a command has written, also on a store that
    outlives its sessions. Both are notes: without them everything is read again.

    Saved are the volumes that a command of this session has mounted, under the exclusive lock:
    what another session is using is left to that session's own end.
"""

import json
import os
import platform
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from anyio import to_thread

from pipelines.caches.backend import Backend, Change, Unusable
from pipelines.caches.bringing import bring
from pipelines.caches.generation import Generation
from pipelines.caches.restoring import Restored
from pipelines.caches.saving import Saved
from pipelines.caches.seen import Seen
from pipelines.caches.settings import Settings
from pipelines.caches.shares import Shares
from pipelines.caches.volumes import head_of, kind_of
from pipelines.engine.op import CacheVolume
from pipelines.engine.store.volumes import Fill, identity
from pipelines.engine.travel.account import Account
from pipelines.engine.travel.aside import Aside, patient
from pipelines.engine.travel.stores import Stores

__all__ = ["Base", "Draft", "Save", "Tell", "Travelling"]


Save = Callable[[], Awaitable[Saved | None]]
"""Saves a cache; None if there is nothing new. Raises `Unusable`."""


class Tell(Protocol):
    """Tells what came of a cache."""

    def __call__(self, state: str, cache: str, **fields: object) -> None:
        """Tell one thing."""
        ...


NOTE = "travel.json"
SEEN = "travel.seen"


@dataclass(slots=True)
class Base:
    """What a volume is based on: a generation of the backend, by digest, and its stamps."""

    digest: str = ""
    number: int = 0
    seen: bytes = b""

    @classmethod
    def read(cls, home: Path) -> "Base":
        """Read the note that stands beside a volume; empty if there is none."""
        try:
            fields: Any = json.loads((home / NOTE).read_bytes())
            digest, number = str(fields["digest"]), int(fields["number"])
        except (OSError, ValueError, KeyError, TypeError):
            return cls()
        seen = b""
        with suppress(OSError):
            seen = (home / SEEN).read_bytes()
        return cls(digest, number, seen)

    def write(self, home: Path) -> None:
        """Leave the note; the stamps name their generation, so the two need not agree."""
        with suppress(OSError):
            for name, content in (
                (SEEN, self.seen),
                (NOTE, json.dumps({"digest": self.digest, "number": self.number}).encode()),
            ):
                draft = home / f"{name}.new"
                draft.write_bytes(content)
                draft.rename(home / name)


@dataclass(frozen=True, slots=True)
class Draft:
    """Fills the draft of a volume: by `restore`, else by `seed`, if there is one."""

    restore: Callable[[CacheVolume, Path], bool]
    volume: CacheVolume
    seed: Callable[[Path], None] | None

    def __call__(self, into: Path) -> None:
        """Fill an empty directory."""
        # A copy of a PRIVATE volume that is taken begins as it would without a cache.
        first = into.name == "data.new"
        if first and self.restore(self.volume, into):
            return
        _clear(into)
        if self.seed is not None:
            self.seed(into)


def _clear(top: Path) -> None:
    """Take away what came of a restore that did not end."""
    for item in os.scandir(top):
        if item.is_dir(follow_symlinks=False):
            shutil.rmtree(item.path, ignore_errors=True)
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            os.unlink(item.path)


@dataclass(slots=True)
class _Mounted:
    """A volume that a command of this session has mounted, and what it began with."""

    volume: CacheVolume
    spent: float = 0.0
    found: Generation | None = None
    got: Restored | None = None


class Travelling:
    """The volumes of one session."""

    def __init__(  # noqa: PLR0917 - the parts of a session
        self,
        settings: Settings,
        stores: Stores,
        reached: Callable[[], Awaitable[Backend]],
        aside: Aside,
        account: Account,
        tell: Tell,
        warn: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._reached = reached
        self._aside = aside
        self._account = account
        self._tell = tell
        self._warn = warn
        self._machine = platform.machine()
        self._mounted: dict[str, _Mounted] = {}
        self._empty: set[str] = set()  # made in this session with nothing restored
        self._shares = Shares()  # restores overlap; used in the loop of `aside` alone

    def filling(self, volume: CacheVolume, seed: Fill | None) -> Fill | None:
        """Give what fills a volume if it is to be made."""
        if not (self._settings.restores and self._settings.travels(volume.key)):
            return seed
        return Draft(self._restored, volume, seed)

    def mounted(self, volume: CacheVolume) -> None:
        """Hear that a command has a volume."""
        if self._settings.travels(volume.key):
            self._mounted.setdefault(identity(volume), _Mounted(volume))

    def _restored(self, volume: CacheVolume, into: Path) -> bool:
        """Restore a volume into its draft; blocks. False if it does not come."""
        came = False
        try:
            came = patient(self._aside.start(self._restore, volume, into)) or False
        except Unusable as exc:
            self._warn(str(exc))
        if not came:
            self._empty.add(identity(volume))
        return came

    async def _restore(self, volume: CacheVolume, into: Path) -> bool:
        name, backend = f"volume {volume.key}", await self._reached()
        head = head_of(volume.key, self._machine, volume.namespace)
        self._shares.started(identity(volume))
        try:
            came = await bring(
                backend, head, into, self._settings, lambda: self._account.link,
                exact=self._stores.files.owners, aging=True,
            )  # fmt: skip
        finally:
            spent = self._shares.ended(identity(volume))
        if came.got is None or came.found is None:
            self._tell(came.did, name, **({"why": came.why} if came.why else {}))
            self._account.note(name, came.did, seconds=spent, why=came.why)
            return False
        found, got = came.found, came.got
        base = Base(found.digest, found.number, got.seen.dump())
        await to_thread.run_sync(base.write, into.parent)
        self._mounted[identity(volume)] = _Mounted(volume, spent, found, got)
        self._tell("restored", name, bytes=got.bytes, files=got.files, seconds=round(spent, 3))
        return True

    def jobs(self, backend: Backend) -> Iterator[tuple[str, Save]]:
        """Yield each volume that a command of this session had, and what saves it.

        Those of the most work come first: the budget may not suffice for all.
        """
        ranked = sorted(self._mounted, key=self._account.work, reverse=True)
        for mounted in map(self._mounted.__getitem__, ranked):
            yield f"volume {mounted.volume.key}", partial(self._save, backend, mounted)

    async def _save(self, backend: Backend, mounted: _Mounted) -> Saved | None:
        with self._stores.volumes.still(mounted.volume) as home:
            if home is None:
                self._tell("skipped", f"volume {mounted.volume.key}", why="another session has it")
                return None
            return await self._saved(backend, mounted, home)

    def _meta(self, mounted: _Mounted, base: Generation | None) -> dict[str, str]:
        known = {k: v for k, v in base.meta.items() if k in {"cold", "warm"}} if base else {}
        name, restored = identity(mounted.volume), mounted.got is not None
        # A volume that was in the store already tells neither what work takes with nothing
        # cached nor what it takes after a restore.
        if restored or name in self._empty:
            known = self._account.learned(name, known, restored=restored)
        return {**known, "volume": mounted.volume.key}

    def noted(self) -> None:
        """Note what restored volumes were good for."""
        for name, mounted in self._mounted.items():
            if mounted.got is not None and mounted.found is not None:
                self._account.note(
                    f"volume {mounted.volume.key}",
                    "restored",
                    seconds=mounted.spent,
                    saved=self._account.restored(name, mounted.found.meta),
                    size=mounted.got.bytes,
                    requests=mounted.got.requests,
                )

    async def _saved(self, backend: Backend, mounted: _Mounted, home: Path) -> Saved:
        note = await to_thread.run_sync(Base.read, home)
        base, seen = mounted.found, {}
        if base is None and note.digest:
            base = await backend.known(note.digest)
        if base is not None and note.digest == base.digest and note.seen:
            seen = {"": Seen.load(note.seen)}
        change = Change(
            head_of(mounted.volume.key, self._machine, mounted.volume.namespace),
            kind_of(mounted.volume.key),
            base,
            {"": home / "data"},
            meta=self._meta(mounted, base),
            seen=seen,
            exact=True,
        )
        made, saved = await backend.save(change)
        stamps = (saved.seen or {}).get("")
        Base(made.digest, made.number, stamps.dump() if stamps else b"").write(home)
        return saved
