"""Saving: what is new since the restored generation becomes packs and a manifest.

Theory of operation
    One thread, the maker, walks the trees and assembles; two more read, hash and compress.
    Reading goes in batches of files that are done in parallel and taken in order, so what is
    made does not depend on who was faster. A file whose stamp the restore has seen is not
    read. A chunk that the base knows is not packed. Packs are handed to the event loop as
    they are filled and written while the next are made; the manifest is written last, so
    whoever is interrupted leaves packs that nobody names, which `collect` finds.

    The head is the caller's.
"""

import os
import time
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio import from_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pipelines.caches.cutting import Piece
from pipelines.caches.faults import first
from pipelines.caches.generation import Generation, GenerationKind, put, seal
from pipelines.caches.index import Index
from pipelines.caches.packing import Packed, Packer, pack_size
from pipelines.caches.reading import batches, read
from pipelines.caches.scan import Scan, scan
from pipelines.caches.seen import Seen
from pipelines.caches.transport import Transport
from pipelines.caches.tree import FILE, HARD, Rows

__all__ = ["Saved", "save"]

_CORES = 2
_UPLOADS = 4
_AHEAD = 4

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did; `bytes` were sent, `skipped` paths are not in the generation."""

    bytes: int = 0
    files: int = 0
    read: int = 0
    requests: int = 0
    seconds: float = 0.0
    skipped: tuple[tuple[str, str], ...] = ()
    seen: Mapping[str, Seen] | None = None


class _Stopped(Exception):
    """The save was cancelled."""


async def save(
    transport: Transport,
    base: Generation | None,
    trees: Mapping[str, Path],
    *,
    kind: GenerationKind,
    records: Mapping[str, bytes] | None = None,
    meta: Mapping[str, str] | None = None,
    drop: Collection[str] = (),
    seen: Mapping[str, Seen] | None = None,
    exact: bool = False,
    level: int = 3,
) -> tuple[Generation, Saved]:
    """Write the packs and the manifest of the generation after `base`; not its head.

    Trees of `base` that are not given again, and its records, are carried over, but for the
    names in `drop`. `seen` are the stamps from when a tree was restored or saved last. With
    `exact`, owners, attributes and whiteouts are kept (layers of the engine).

    Raises:
        Unavailable: the backend does not take it.
    """
    begun = time.monotonic()
    job = _Job(base, kind, dict(meta or {}), dict(records or {}), frozenset(drop), exact, level)
    made, sent = await _made_and_sent(transport, job, trees, dict(seen or {}))
    await put(transport, made.generation)
    return made.generation, Saved(
        sent.bytes + len(made.generation.content),
        made.files,
        made.read,
        sent.requests + 1,
        time.monotonic() - begun,
        tuple((path.decode(errors="surrogateescape"), why) for path, why in made.skipped),
        {name: replace(s, base=made.generation.digest) for name, s in made.seen.items()},
    )


@dataclass(frozen=True, slots=True)
class _Job:
    base: Generation | None
    kind: GenerationKind
    meta: Mapping[str, str]
    records: Mapping[str, bytes]
    drop: Collection[str]
    exact: bool
    level: int


@dataclass(slots=True)
class _Sent:
    bytes: int = 0
    requests: int = 0


async def _made_and_sent(
    transport: Transport, job: _Job, trees: Mapping[str, Path], seen: Mapping[str, Seen]
) -> tuple["_Making", _Sent]:
    """Make packs in a thread and write them as they come."""
    sent = _Sent()
    send, receive = anyio.create_memory_object_stream[Packed](1)
    try:
        async with anyio.create_task_group() as group, send:
            for _ in range(_UPLOADS):
                group.start_soon(_upload, transport, receive.clone(), sent)
            receive.close()
            made = await anyio.to_thread.run_sync(_make, job, trees, seen, send)
    except BaseExceptionGroup as exc:
        raise first(exc) from exc
    return made, sent


async def _upload(
    transport: Transport, packs: MemoryObjectReceiveStream[Packed], sent: _Sent
) -> None:
    with packs:
        async for packed in packs:
            sent.requests += 1
            if await transport.write(packed.pack.name, packed.content):
                sent.bytes += len(packed.content)


def _make(
    job: _Job,
    trees: Mapping[str, Path],
    seen: Mapping[str, Seen],
    send: MemoryObjectSendStream[Packed],
) -> "_Making":
    """Walk, read, cut and pack: the whole of a save but for sending."""

    def emit(packed: Packed) -> None:
        from_thread.run(send.send, packed)

    with ThreadPoolExecutor(_CORES, "cache-save") as pool:
        making = _Making(job, pool, emit)
        making.run(trees, seen)
    return making


class _Making:
    """One save, in its thread."""

    def __init__(self, job: _Job, pool: Executor, emit: Callable[[Packed], None]) -> None:
        self._job = job
        self._pool = pool
        self._emit = emit
        base = job.base
        self._index = deepcopy(base.index) if base else Index()
        self._known = self._index.known()
        self.number = base.number + 1 if base else 1
        self.files = self.read = 0
        self.skipped: list[tuple[bytes, str]] = []
        self.seen: dict[str, Seen] = {}
        self.generation: Generation

    def run(self, trees: Mapping[str, Path], seen: Mapping[str, Seen]) -> None:
        """Make the generation."""
        job, base = self._job, self._job.base
        taken = time.time_ns()
        scans = {n: scan(path, _everything, exact=job.exact) for n, path in trees.items()}
        chunks = {name: self._unchanged(name, found, seen) for name, found in scans.items()}
        unread = sum(
            found.rows[i].size
            for name, found in scans.items()
            for i, known in enumerate(chunks[name])
            if known is None
        )
        size = pack_size(unread)
        packer = Packer(self._index, self._pool, self._emit, size=size, level=job.level)
        for name, path in trees.items():
            self._read(path, scans[name], chunks[name], packer)
            packer.close_frame()  # a tree is restored by itself
        packer.close()
        kept = {n: base.rows(n) for n in base.trees if n not in job.drop} if base else {}
        kept |= {name: self._rows(scans[name], chunks[name]) for name in trees}
        for name, found in scans.items():
            self.seen[name] = Seen("", taken, {row.path: row.stamp for row in found.rows})
        records = {k: v for k, v in base.records.items() if k not in job.drop} if base else {}
        self.generation = seal(
            number=self.number,
            parents=[base.digest] if base else [],
            made=time.time(),
            kind=job.kind,
            meta=job.meta,
            trees=kept,
            records=records | dict(job.records),
            index=self._index,
        )

    def _unchanged(
        self, name: str, found: Scan, seen: Mapping[str, Seen]
    ) -> list["array[int] | None"]:
        """Give the chunks of each row, None for those of files that are to be read."""
        base, stamps = self._job.base, seen.get(name)
        known: dict[bytes, array[int]] = {}
        if base is not None and stamps is not None and stamps.base == base.digest:
            rows = base.rows(name)
            known = {
                rows.paths[row]: rows.refs[start:stop]
                for row, start, stop in rows.spans()
                if rows.kinds[row] == FILE
            }
        none = array("I")
        return [
            none
            if row.kind != FILE
            else known.get(row.path)
            if stamps is not None and stamps.same(row.path, row.stamp)
            else None
            for row in found.rows
        ]

    def _read(
        self, path: Path, found: Scan, chunks: list["array[int] | None"], packer: Packer
    ) -> None:
        """Read what is not known, and pack what is new of it."""
        wanted = [(i, row) for i, row in enumerate(found.rows) if chunks[i] is None]
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            look = partial(read, top, known=self._known)
            for cuts in _ordered(self._pool, look, batches(wanted)):
                from_thread.check_cancelled()
                for cut in cuts:
                    if cut.fault is not None:
                        self.skipped.append((found.rows[cut.row].path, cut.fault))
                        continue
                    self.read += 1
                    chunks[cut.row] = array("I", (self._take(p, packer) for p in cut.pieces))
        finally:
            os.close(top)

    def _take(self, piece: Piece, packer: Packer) -> int:
        """Give a chunk's number, packing it if it is new."""
        number = self._known.get(piece.digest)
        if number is None:
            assert piece.content is not None, "a reader leaves out only what is known"
            number = self._known[piece.digest] = packer.add(piece.digest, piece.content)
        return number

    def _rows(self, found: Scan, chunks: list["array[int] | None"]) -> Rows:
        """Make a tree of what was read."""
        rows, left_out = Rows(), set()
        for row, refs in zip(found.rows, chunks, strict=True):
            if refs is None or (row.kind == HARD and row.target in left_out):
                left_out.add(row.path)
                continue
            self.files += row.kind == FILE
            rows.add(
                row.path,
                row.kind,
                row.mode,
                row.mtime,
                owner=row.owner,
                chunks=refs,
                target=row.target,
                xattrs=row.xattrs,
                used=self.number,
            )
        self.skipped += found.skipped
        return rows


def _ordered(pool: Executor, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Apply a function to items in parallel, a few ahead, and yield the results in order."""
    ahead: deque[Future[B]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


def _everything(_path: bytes, /, *, directory: bool) -> str | None:  # noqa: ARG001
    return None
