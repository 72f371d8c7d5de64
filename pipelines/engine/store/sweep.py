"""Delete what the collector chose, safely.

Theory of operation
    Everything that is not a volume is swept only under the exclusive `gc.lock`, so only while
    no session is alive (see `leases.py`): there is no one who looked something up, or relied
    on something being there, and has not recorded it yet. When a session is alive, a sweep
    collects volumes and mirrors that nobody has open, what is known of downloads, and the
    trash. A session that sweeps at its own end, when it has nothing in flight, hands in its
    lease: its own share of the lock does not count, and the snapshotter still has a place to
    move layers to.

    Rows go first, then content, so a crash leaves content that no one names: the next sweep's.
    Never call this right before a build (see `trash.py`).
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.store.ballast import take_aboard
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.files import Files
from pipelines.engine.store.flocks import FileLock
from pipelines.engine.store.gc import Content, Decision, Holding, decide
from pipelines.engine.store.images import image_blobs, image_scraps
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.mirrors import Downloads, Mirrors
from pipelines.engine.store.policy import Disk, Policy
from pipelines.engine.store.records import Records, Row
from pipelines.engine.store.trash import empty
from pipelines.engine.store.volumes import Volumes
from pipelines.engine.tree import Tree

__all__ = ["Layers", "Parts", "Swept", "due", "measured", "sweep"]

_PERIOD = 3600.0


class Layers(Protocol):
    """What the collector asks of a snapshotter."""

    def layers(self) -> Iterator[tuple[str, int, int]]:
        """Yield (id, bytes on disk, inodes) of every layer."""
        ...

    def remove(self, layer: str) -> None:
        """Take a layer away."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a sweep works on; `keep` gives blobs that others than records need (images)."""

    layout: Layout
    records: Records
    blobs: Blobs
    files: Files
    volumes: Volumes
    layers: Layers
    keep: Callable[[], Iterable[Digest]] = tuple


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did; `partial` says that live sessions kept it from content."""

    records: int
    volumes: int
    freed: int
    freed_inodes: int
    held: int
    partial: bool


def due(layout: Layout, policy: Policy, now: float | None = None) -> bool:
    """Whether a session's end should sweep: once an hour, or when the disk runs short."""
    disk = Disk.of(layout.root)
    if disk.free < policy.min_free or 0 < disk.free_inodes < policy.min_free_inodes:
        return True
    try:
        last = (layout.root / "swept").stat().st_mtime
    except FileNotFoundError:
        return True
    return abs((now or time.time()) - last) > _PERIOD


def sweep(
    parts: Parts, policy: Policy, now: float | None = None, lease: Lease | None = None
) -> Swept:
    """Bring the store within the policy, as far as live sessions other than `lease` allow."""
    now = now or time.time()
    with _alone(parts.layout) if lease is None else lease.alone() as whole:
        decision = _decide(parts, policy, now, whole=whole)
        records, volumes = _delete(parts, decision)
        if whole:
            (parts.layout.root / "swept").touch(mode=0o600)
    empty(parts.layout)
    take_aboard(parts.layout)
    return Swept(
        records, volumes, decision.freed, decision.freed_inodes, decision.held, partial=not whole
    )


@contextmanager
def _alone(layout: Layout) -> Iterator[bool]:
    lock = FileLock(layout.gc_lock)
    try:
        yield lock.attempt()
    finally:
        lock.close()


def _apart(parts: Parts) -> tuple[dict[str, Content], list[Holding]]:
    """Give what may go while others are alive, because it has locks of its own."""
    contents, holdings = _volumes(parts)
    for held, content in (*_mirrors(parts.layout), *_downloads(parts.layout)):
        contents[held.refs[0]] = content
        holdings.append(held)
    return contents, holdings


def measured(parts: Parts) -> tuple[dict[str, Content], list[Holding]]:
    """Give all content by name, and all holdings."""
    contents, holdings = _apart(parts)
    contents.update(_contents(parts))
    for held, content in _images(parts.layout):
        contents[held.refs[0]] = content
        holdings.append(held)
    return contents, holdings + [_holding(row, parts) for row in parts.records.rows()]


def _decide(parts: Parts, policy: Policy, now: float, *, whole: bool) -> Decision:
    contents, holdings = measured(parts) if whole else _apart(parts)
    keep = [f"blob:{digest}" for digest in parts.keep()] if whole else []
    return decide(holdings, contents, policy, Disk.of(parts.layout.root), now, keep)


def _volumes(parts: Parts) -> tuple[dict[str, Content], list[Holding]]:
    found = list(parts.volumes.list(sizes=True))
    contents = {f"volume:{v.id}": Content(v.size, v.inodes, v.used) for v in found}
    return contents, [Holding("volume", v.id, v.used, (f"volume:{v.id}",)) for v in found]


def _mirrors(layout: Layout) -> Iterator[tuple[Holding, Content]]:
    for mirror in Mirrors(layout).list(sizes=True):
        held = Holding("mirror", mirror.id, mirror.used, (f"mirror:{mirror.id}",))
        yield held, Content(mirror.size, mirror.inodes, mirror.used)


def _downloads(layout: Layout) -> Iterator[tuple[Holding, Content]]:
    for name, used in Downloads(layout).list():
        yield Holding("download", name, used, (f"download:{name}",)), Content(4096, 1, used)


def _images(layout: Layout) -> Iterator[tuple[Holding, Content]]:
    for name, status in image_blobs(layout):
        used = max(status.st_mtime, status.st_atime)
        content = Content(status.st_blocks * 512, 1, status.st_ctime)
        yield Holding("image", name, used, (f"image:{name}",)), content


def _contents(parts: Parts) -> Iterator[tuple[str, Content]]:
    for layer, size, inodes in parts.layers.layers():
        since = _since(parts.layout, layer)
        yield f"layer:{layer}", Content(size, inodes, since)
    for digest, status in parts.blobs.entries():
        yield f"blob:{digest}", Content(status.st_blocks * 512, 1, status.st_ctime)
    for name, status in image_scraps(parts.layout):
        yield f"image:{name}", Content(status.st_blocks * 512, 1, status.st_ctime)
    for name, status in parts.files.entries():
        # The layers that link a file hold its bytes: removing our name frees nothing.
        if status.st_nlink == 1:
            yield f"file:{name}", Content(status.st_blocks * 512, 1, status.st_ctime)


def _since(layout: Layout, layer: str) -> float:
    try:
        return os.lstat(layout.snapshots / layer).st_ctime
    except FileNotFoundError:
        return 0.0


def _holding(row: Row, parts: Parts) -> Holding:
    refs = [f"layer:{layer}" for layer in row.layers]
    refs += [f"blob:{blob}" for blob in row.blobs]
    if row.tree is not None:
        refs.append(f"blob:{row.tree}")
        refs += _files_of(row.tree, parts)
    return Holding("record", row.key, row.used, tuple(refs))


def _files_of(tree: Digest, parts: Parts) -> list[str]:
    try:
        entries = Tree.decode(parts.blobs.get(tree)).values()
    except (ContentMissing, ValueError):
        return []
    return [f"file:{parts.files.name(entry)}" for entry in entries if entry.kind == "file"]


def _delete(parts: Parts, decision: Decision) -> tuple[int, int]:
    """Rows, then volumes, then content; give how many rows and volumes went."""
    records = [Digest(h.id) for h in decision.holdings if h.kind == "record"]
    parts.records.forget_all(records)
    crashpoint("sweep.rows-deleted")
    volumes = sum(parts.volumes.remove(h.id) for h in decision.holdings if h.kind == "volume")
    mirrors, downloads = Mirrors(parts.layout), Downloads(parts.layout)
    for held in decision.holdings:
        if held.kind == "mirror":
            mirrors.remove(held.id)
        elif held.kind == "download":
            downloads.remove(held.id)
    for ref in decision.content:
        kind, _, name = ref.partition(":")
        if kind == "layer":
            parts.layers.remove(name)
        elif kind == "blob":
            parts.blobs.remove(Digest(name))
        elif kind == "file":
            parts.files.remove(name)
        elif kind == "image":
            (parts.layout.images / name).unlink(missing_ok=True)
        crashpoint("sweep.content-deleted")
    return len(records), volumes
