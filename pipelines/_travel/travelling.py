"""The cache volumes of one connection to a Dagger engine: seeded at first use, saved at the end."""

import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from anyio import to_thread
from graphql import DocumentNode

from pipelines._travel import wire
from pipelines._travel.asking import Asking, said
from pipelines._travel.noted import Noted
from pipelines._travel.standing import MET, Standing
from pipelines.caches import layers, listing
from pipelines.caches.backend import Backend, Change
from pipelines.caches.bringing import bring
from pipelines.caches.generation import Generation
from pipelines.caches.saving import Saved
from pipelines.caches.scan import Scan
from pipelines.caches.settings import Settings
from pipelines.caches.volumes import head_of, kind_of

__all__ = ["Travelling"]

SLACK = 2.0
# A restored tree is written to an image, sent, and unpacked by the engine: of a Go build cache of
# 207 MB in 2987 files, that took 3.7 times as long as restoring it.
EFFORT = 5.0
REFRESH = 3 * 86400.0  # an unchanged volume is published again before its head expires
MACHINES = {
    "amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l", "loong64": "loongarch64",
}  # fmt: skip


@dataclass(slots=True)
class _Volume:
    """A volume that travels, and what is known of it."""

    key: str
    asked: DocumentNode
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    looked: bool = False
    source: str = ""
    found: Generation | None = None  # what the volume is based on
    kept: bool = False  # by the engine, from earlier runs
    made: wire.Mount | None = None  # of a request that succeeded
    named: wire.Mount | None = None  # of one that asked for an id: perhaps nobody has made it
    failed: wire.Mount | None = None

    @property
    def mount(self) -> wire.Mount | None:
        """Tell how it was mounted, if it was."""
        return self.made or self.named or self.failed


class Travelling:
    """The volumes of one connection; `send` passes a request on."""

    def __init__(  # noqa: PLR0917 - the parts of a run
        self,
        settings: Settings,
        opening: Callable[[], Awaitable[Backend]],
        send: Callable[[DocumentNode], Awaitable[Any]],
        scratch: Path,
        noted: Noted,
        standing: Standing,
    ) -> None:
        self._settings = settings
        self._opening = opening
        self._send = send
        self._asking = Asking(send)
        self._scratch = scratch
        self._noted = noted
        self._standing = standing
        self._lock = anyio.Lock()
        self._backend: Backend | None = None
        self._platform = self._engine = ""
        self._volumes: dict[str, _Volume] = {}
        self._ids: dict[str, _Volume] = {}
        self._count = 0
        self._failed = False

    async def execute(self, document: DocumentNode) -> Any:
        """Answer a request, with the volumes that it names seeded before."""
        key = wire.asked(document)
        if key and self._settings.travels(key):
            return await self._named(document, key)
        mounted = [(m, v) for m in wire.mounts(document) if (v := self._ids.get(m.volume))]
        try:
            answer = await self._send(document)
        except Exception:
            self._failed = True
            for mount, volume in mounted:
                volume.failed = mount
            raise
        for mount, volume in mounted:
            if wire.forces(document):
                volume.made = mount
            else:
                volume.named = mount
        return answer

    async def _named(self, document: DocumentNode, key: str) -> Any:
        volume = self._volumes.setdefault(key, _Volume(key, document))
        async with volume.lock:
            if not volume.looked and self._settings.restores:
                with self._forgiving(f"volume {key}"):
                    await self._seed(volume)
            volume.looked = True
        asked = wire.seeded(document, volume.source) if volume.source else document
        answer = await self._send(asked)
        with suppress(KeyError, TypeError):
            self._ids[str(answer["cacheVolume"]["id"])] = volume
        return answer

    async def _seed(self, volume: _Volume) -> None:
        name, backend = f"volume {volume.key}", await self._reached()
        head = await self._head(volume.key)
        if digest := self._standing.get(self._engine, volume.key):
            volume.found = await backend.known(digest)
            volume.kept = volume.found is not None
            if volume.kept:
                return
        began, tree = time.monotonic(), self._place("tree")
        tree.mkdir(mode=0o700)
        try:
            came = await bring(
                backend, head, tree, self._settings, self._noted.link,
                exact=os.geteuid() == 0, effort=EFFORT,
            )  # fmt: skip
            if came.found is None or came.got is None:
                self._noted.note(name, came.did, seconds=came.seconds, why=came.why)
                return
            volume.source = await self._imported(came.found, tree)
            volume.found = came.found
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_discard, tree)
        self._noted.note(
            name, "restored", seconds=time.monotonic() - began, size=came.got.bytes,
            requests=came.got.requests, files=came.got.files,
        )  # fmt: skip

    async def _imported(self, found: Generation, tree: Path) -> str:
        image = self._place("image")
        try:
            await to_thread.run_sync(layers.write, found, tree, image, self._platform)
            return await self._asking.imported(image)
        finally:
            image.unlink(missing_ok=True)

    async def finish(self, why: str = "") -> None:
        """Save what is new, within the budget; a volume after the other.

        `why` says in words what a run may write, if it may not.
        """
        mounted = [v for v in self._volumes.values() if v.mount]
        if not (mounted and self._settings.saves):
            return
        with anyio.move_on_after(self._settings.budget + SLACK, shield=True) as scope:
            with self._forgiving(""):
                if not (await self._reached()).writes:
                    self._noted.unsaved(why)
                    return
            for volume in mounted:
                with self._forgiving(f"volume {volume.key}"):
                    await self._save(await self._reached(), volume)
        if scope.cancelled_caught:
            self._noted.warn(
                f"saving takes longer than the budget of {self._settings.budget:g} s; "
                "the rest is left"
            )

    async def _save(self, backend: Backend, volume: _Volume) -> None:
        began, place = time.monotonic(), self._place("saving")
        place.mkdir(mode=0o700)
        try:
            saved = await self._saved(backend, volume, place)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_discard, place)
        if saved is not None:
            self._noted.note(
                f"volume {volume.key}", "saved", seconds=time.monotonic() - began,
                size=saved.bytes, requests=saved.requests, files=saved.files,
            )  # fmt: skip

    async def _saved(self, backend: Backend, volume: _Volume, place: Path) -> Saved | None:
        mount, box = volume.mount, self._box(volume)
        assert mount is not None
        if box is None:
            self._noted.note(f"volume {volume.key}", "skipped", why="no container to list it in")
            return None
        root, mark = await self._asking.root(box), uuid4().hex
        await self._asking.list(root, mount, mark, place / "listing")
        content = await to_thread.run_sync((place / "listing").read_bytes)
        scan = await to_thread.run_sync(listing.read, content, mark)
        base = self._base(volume, scan)
        if base is None and len(scan.rows) == 1:
            return None  # nobody has written to it
        delta, saved = await to_thread.run_sync(listing.delta, scan, base), None
        if not (delta.unchanged and base is not None and time.time() - base.made < REFRESH):
            change = await self._change(volume, delta, base, root, place)
            made, saved = await backend.save(change)
            base = made if base is not None or not volume.kept else None
        if base is not None:
            await self._settle(volume, root, base.digest)
        return saved

    def _base(self, volume: _Volume, scan: Scan) -> Generation | None:
        """Give what a listed volume is based on; nothing if the engine has lost it meanwhile."""
        base = volume.found
        if volume.kept and base is not None and listing.lost(scan, base):
            self._standing.forget(self._engine, volume.key)
            return None
        return base

    async def _change(
        self,
        volume: _Volume,
        delta: listing.Delta,
        base: Generation | None,
        root: str,
        place: Path,
    ) -> Change:
        """Fetch what is new."""
        kept = {k: v for k, v in base.meta.items() if k in {"cold", "warm"}} if base else {}
        fetched, paths = place / "delta", place / "paths"
        fetched.mkdir()
        if delta.fetch and volume.mount:
            paths.write_bytes(b"".join(path + b"\0" for path in delta.fetch))
            await self._asking.fetch(root, volume.mount, paths, fetched)
        scan = await to_thread.run_sync(listing.settled, delta, fetched)
        return Change(
            await self._head(volume.key), kind_of(volume.key), base, {"": fetched},
            meta={**kept, "volume": volume.key}, exact=True, habit=delta.habit,
            seen={"": delta.seen} if delta.seen else {}, scans={"": scan},
        )  # fmt: skip

    async def _settle(self, volume: _Volume, root: str, digest: str) -> None:
        """Remember, on an engine that keeps its volumes, that one is warm; see `standing`."""
        if volume.source and self._standing.get(self._engine, volume.key) is None:
            digest = MET
        elif volume.source and volume.mount:
            plain = (await self._send(volume.asked))["cacheVolume"]["id"]
            await self._asking.copy(root, volume.mount, str(plain))
        self._standing.put(self._engine, volume.key, digest)

    def _box(self, volume: _Volume) -> wire.Mount | None:
        """Choose a mount whose container is there already: to ask for it must run no command.

        After a failure what was only named was perhaps never made, and what failed may be what
        was to be made before the mount.
        """
        certain = [volume.made, *(other.made for other in self._volumes.values())]
        if not self._failed:
            certain.insert(1, volume.named)
        pulled = (m for m in (volume.named, volume.failed) if m and wire.plain(m))
        return next((m for m in (*certain, *pulled) if m), None)

    async def _head(self, key: str) -> str:
        async with self._lock:
            if not self._platform:
                self._engine = await self._asking.name()
                self._platform = await self._asking.platform()
        architecture = self._platform.split("/")[1]
        return head_of(key, MACHINES.get(architecture, architecture))

    async def _reached(self) -> Backend:
        async with self._lock:
            if self._backend is None:
                self._backend = await self._opening()
            return self._backend

    async def close(self) -> None:
        """Close connections."""
        if self._backend is not None:
            await self._backend.close()

    def _place(self, name: str) -> Path:
        self._count += 1
        return self._scratch / f"{name}-{self._count}"

    @contextmanager
    def _forgiving(self, cache: str) -> Iterator[None]:
        """Let what goes wrong with a cache be a miss, told once."""
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - a cache never changes what a run says
            text = f"{cache}: {said(exc)}" if cache else said(exc)
            self._noted.note(cache, "failed", why=text)
            self._noted.warn(text)


def _discard(top: Path) -> None:
    """Remove a directory of ours, also where modes forbid it."""
    for directory, below, _ in os.walk(top):
        for name in below:
            with suppress(OSError):
                (Path(directory) / name).chmod(0o700, follow_symlinks=False)
    shutil.rmtree(top, ignore_errors=True)
