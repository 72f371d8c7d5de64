"""What of a session travels: records that are new, with what they name, and volumes.

What does not
    records of images      an image is had from where images come from
    what a secret is in    the layers and blobs of commands that were given secrets are searched
                           for every spelling of their values; without the values (a record of
                           an earlier session) they stay here
    what is large          more than `LARGEST` bytes of one layer or tree
    what is gone           a record whose content is no longer here, and not in the base either

Records that no run has asked for during the last `KEEP` generations are dropped, and then the
trees that no record needs.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anyio import to_thread

from pipelines.caches.backend import Backend, Change
from pipelines.caches.saving import Saved
from pipelines.caches.settings import Settings
from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.op import OF_THIS_MACHINE
from pipelines.engine.result import references
from pipelines.engine.store.lazy import stored_tree
from pipelines.engine.travel import times
from pipelines.engine.travel.index import Index
from pipelines.engine.travel.portraits import PREFIX, Portraits
from pipelines.engine.travel.results import INLINE, Record, blob_name, files_name, layer_name
from pipelines.engine.travel.secrecy import Secrecy
from pipelines.engine.travel.stores import Stores
from pipelines.engine.travel.volumes import Save, Travelling

__all__ = ["KEEP", "LARGEST", "Saving"]

KEEP = 20
MOST_PORTRAITS = 256
LARGEST = 512 << 20
UNSAVED = frozenset({"Rootfs", "layer"})


@dataclass(slots=True)
class _Plan:
    """What the next generation has that the base has not."""

    place: Path
    images: frozenset[str]
    secrecy: Secrecy
    records: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, Path] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    new: int = 0


class Saving:
    """Saves what one session has made."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        index: Index,
        volumes: Travelling,
        since: times.Times,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._index = index
        self._volumes = volumes
        self.portraits: Portraits | None = None
        self._times = since

    def jobs(self, backend: Backend, key: str) -> Iterator[tuple[str, Save]]:
        """Yield each cache that may have something new, and what saves it: results first."""
        if self._settings.results:
            yield "results", lambda: self._results(backend, key)
        yield from self._volumes.jobs(backend)

    async def _results(self, backend: Backend, key: str) -> Saved | None:
        place = self._stores.scratch / "travel-saving"
        place.mkdir()
        try:
            plan = await to_thread.run_sync(self._plan, place)
            if not plan.new:
                return None
            change = Change(
                key, "results", self._index.generation, plan.trees, plan.records, drop=plan.drop,
                exact=True,
            )  # fmt: skip
            return (await backend.save(change))[1]
        finally:
            await to_thread.run_sync(lambda: shutil.rmtree(place, ignore_errors=True))

    def _plan(self, place: Path) -> _Plan:
        """Look at everything that this session has asked for; blocks."""
        base = self._index.generation
        number = base.number + 1 if base is not None else 1
        images = frozenset(self._stores.images())
        plan = _Plan(place, images, Secrecy.of(self._stores, self._index.made, images))
        for key in self._index.used:
            if base is not None and (known := base.records.get(key)) is not None:
                plan.records[key] = Record.decode(known).after(number).encode()
            elif (record := self._record(key, plan)) is not None:
                plan.records[key] = record.after(number).encode()
                plan.new += 1
        home = place / times.NAME
        home.mkdir()
        if plan.new and self._times.save(home):
            plan.trees[times.NAME] = home
        if self.portraits is not None and plan.new:
            plan.records |= self.portraits.records()
        if base is not None:
            plan.drop = list(self._stale(number - KEEP, plan))
        return plan

    def _record(self, key: Digest, plan: _Plan) -> Record | None:
        """Give a record of the store as it travels, its content added to the plan."""
        found = self._stores.records.raw(key)
        if found is None:
            return None
        result, note, seconds = found
        if note in UNSAVED or note.endswith(OF_THIS_MACHINE):
            return None
        layers, blobs, tree = references(result)
        own = tuple(x for x in layers if x not in plan.images)
        if layers and not own and not blobs:
            return None  # an image, under another name
        try:
            inline = dict(self._blobs((*blobs, *([tree] if tree else [])), plan))
            for layer in own:
                self._layer(layer, plan)
            if tree is not None:
                self._files(tree, plan)
        except ContentMissing:
            return None
        kept = tuple(x for x in dict.fromkeys(layers) if x in plan.images)
        share = self._index.shares.get(key, 0.0)
        return Record(result, note, seconds, share, images=kept, inline=inline)

    def _blobs(self, blobs: tuple[Digest, ...], plan: _Plan) -> Iterator[tuple[str, bytes]]:
        """Yield small blobs; put the others into the plan."""
        for blob in blobs:
            if self._has(blob_name(blob.hex), plan):
                continue
            path = self._stores.blobs.path(blob)
            if not path.exists():
                raise ContentMissing(f"blob {blob} is gone")
            if plan.secrecy.holds(blob.hex, path):
                raise ContentMissing(f"blob {blob} may hold a secret")
            if path.stat().st_size <= INLINE:
                yield blob.hex, self._stores.blobs.get(blob)
                continue
            home = plan.place / f"blob-{blob.hex}"
            home.mkdir()
            os.link(path, home / "blob")
            plan.trees[blob_name(blob.hex)] = home

    def _layer(self, layer: str, plan: _Plan) -> None:
        if self._has(layer_name(layer), plan):
            return
        home = self._stores.layout.snapshots / layer
        if not home.exists():
            raise ContentMissing(f"layer {layer} is gone")
        if plan.secrecy.holds(layer, home):
            raise ContentMissing(f"layer {layer} may hold a secret")
        if json.loads((home / "layer.json").read_bytes())["bytes"] > LARGEST:
            raise ContentMissing(f"layer {layer} is too large to travel")
        plan.trees[layer_name(layer)] = home

    def _files(self, tree: Digest, plan: _Plan) -> None:
        name = files_name(tree.hex)
        if self._has(name, plan):
            return
        home, files = plan.place / f"files-{tree.hex}", self._stores.files
        home.mkdir()
        entries = [e for e in stored_tree(self._stores.blobs, tree).values() if e.kind == "file"]
        if sum(entry.size for entry in entries) > LARGEST:
            raise ContentMissing(f"tree {tree} is too large to travel")
        for entry in entries:
            source, target = files.ensure(entry), home / files.name(entry).partition("/")[2]
            if plan.secrecy.holds(entry.content, source):
                raise ContentMissing(f"a file of tree {tree} may hold a secret")
            if not target.exists():
                os.link(source, target)
        plan.trees[name] = home

    def _has(self, name: str, plan: _Plan) -> bool:
        base = self._index.generation
        return name in plan.trees or (base is not None and name in base.trees)

    def _stale(self, number: int, plan: _Plan) -> Iterator[str]:
        """Name records that nobody asks for any more, and the trees that only they needed."""
        base = self._index.generation
        assert base is not None
        kept: set[str] = {times.NAME, *plan.trees}
        drawn = [key for key in base.records if key.startswith(PREFIX) and key not in plan.records]
        yield from drawn[MOST_PORTRAITS:]
        for key, content in {**base.records, **plan.records}.items():
            if key.startswith(PREFIX):
                continue
            try:
                record = Record.decode(content)
            except (ValueError, KeyError, TypeError, AttributeError):
                yield key
                continue
            if record.used < number:
                yield key
            else:
                kept.update(record.trees)
        yield from (name for name in base.trees if name not in kept)
