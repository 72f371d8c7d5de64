"""The making of a generation: the part of a save that runs in a thread of its own.

scan        what is there, without what must not travel
use         what of it was used, and when; what was not for long is left out
read        what the stamps do not know, in parallel, taken in order
compact     packs that have become too empty or too many
seal        the manifest
"""

import os
import time
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio import from_thread
from anyio.streams.memory import MemoryObjectSendStream

from pipelines.caches.cutting import Piece, Unsteady
from pipelines.caches.generation import Generation, GenerationKind, seal
from pipelines.caches.habits import PLAIN, Habit, detect, habit
from pipelines.caches.index import Index
from pipelines.caches.packing import Packed, Packer
from pipelines.caches.reading import Cut, batches, read, stream
from pipelines.caches.rewriting import compact
from pipelines.caches.scan import Found, Keep, Scan, scan
from pipelines.caches.seen import Seen, Stamp
from pipelines.caches.transport import Transport
from pipelines.caches.tree import FILE, HARD, Rows
from pipelines.caches.usage import Drawn, draw

__all__ = ["Job", "Made", "make"]

_CORES = 2
_AHEAD = 4

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Job:
    """What a save was asked for."""

    base: Generation | None
    kind: GenerationKind
    meta: Mapping[str, str]
    records: Mapping[str, bytes]
    drop: Collection[str]
    habit: Habit | None
    exact: bool
    level: int
    scans: Mapping[str, Scan] = field(default_factory=dict)


@dataclass(slots=True)
class Made:
    """What came of it; the stamps do not know their generation's digest yet."""

    generation: Generation
    seen: dict[str, Seen] = field(default_factory=dict)
    skipped: list[tuple[bytes, str]] = field(default_factory=list)
    files: int = 0
    read: int = 0
    trimmed: int = 0
    rewritten: int = 0


def make(
    transport: Transport,
    job: Job,
    trees: Mapping[str, Path],
    seen: Mapping[str, Seen],
    send: MemoryObjectSendStream[Packed],
) -> Made:
    """Walk, read, cut and pack; runs in a thread that anyio started."""

    def emit(packed: Packed) -> None:
        from_thread.run(send.send, packed)

    with ThreadPoolExecutor(_CORES, "cache-save") as pool:
        return _Making(transport, job, pool, emit).run(trees, seen)


class _Making:
    """One save, in its thread."""

    def __init__(
        self, transport: Transport, job: Job, pool: Executor, emit: Callable[[Packed], None]
    ) -> None:
        self._transport = transport
        self._job = job
        self._pool = pool
        self._emit = emit
        self._index = job.base.index.copy() if job.base else Index()
        self._known = self._index.known()
        self._number = job.base.number + 1 if job.base else 1
        self._read = self._files = 0
        self._skipped: list[tuple[bytes, str]] = []
        # Results do not change once they are made, and one file may be in several trees of them.
        self._taken: dict[tuple[int, Stamp], array[int]] = {}

    def run(self, trees: Mapping[str, Path], seen: Mapping[str, Seen]) -> Made:
        """Make the generation."""
        job, base = self._job, self._job.base
        habits = {n: self._habit(n, path) for n, path in trees.items()}
        drawn = {n: self._draw(n, path, habits[n], seen.get(n)) for n, path in trees.items()}
        expected = sum(one.unread for one in drawn.values())
        packer = Packer(self._index, self._pool, self._emit, expected=expected, level=job.level)
        for name, path in trees.items():
            self._take_files(path, drawn[name], packer)
            packer.close_frame()  # a tree is restored by itself
        kept = {n: base.rows(n) for n in base.trees if n not in job.drop} if base else {}
        kept |= {name: self._rows(one) for name, one in drawn.items()}
        bases = len(base.packs) if base else 0
        kept, rewritten = compact(self._transport, self._index, kept, packer, bases)
        packer.close()
        return Made(
            self._seal(kept, habits),
            {name: one.seen() for name, one in drawn.items()},
            self._skipped,
            self._files,
            self._read,
            sum(one.trimmed for one in drawn.values()),
            rewritten,
        )

    def _habit(self, name: str, path: Path) -> Habit:
        if self._job.kind == "results" or (name and self._job.habit is None):
            return PLAIN
        if self._job.habit is not None:
            return self._job.habit
        base = self._job.base
        known = habit(base.meta.get("habit", "")) if base else PLAIN
        return detect(path) if known is PLAIN else known

    def _draw(self, name: str, path: Path, habit: Habit, seen: Seen | None) -> Drawn:
        """Walk a tree and find out what of it is known and used."""
        taken = time.time_ns()
        keep = Keep(habit.dropped, whole=self._job.kind == "results")
        given = self._job.scans.get(name)
        found = scan(path, keep, exact=self._job.exact) if given is None else given
        base = self._job.base
        if base is None or seen is None or seen.base != base.digest or name not in base.trees:
            return draw(Drawn(found, taken), habit, self._number, None, None)
        return draw(Drawn(found, taken), habit, self._number, base.rows(name), seen)

    def _seal(self, trees: Mapping[str, Rows], habits: Mapping[str, Habit]) -> Generation:
        job, base = self._job, self._job.base
        records = {k: v for k, v in base.records.items() if k not in job.drop} if base else {}
        named = {"habit": habits[""].name} if "" in habits else {}
        return seal(
            number=self._number,
            parents=[base.digest] if base else [],
            made=time.time(),
            kind=job.kind,
            meta={**named, **job.meta},
            trees=trees,
            records=records | dict(job.records),
            index=self._index,
        )

    def _take_files(self, path: Path, drawn: Drawn, packer: Packer) -> None:
        """Read what is not known, and pack what is new of it."""
        rows = drawn.scan.rows
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            device = os.fstat(top).st_dev
            if self._job.kind == "results":
                drawn.chunks = [
                    self._taken.get((device, row.stamp)) if known is None else known
                    for row, known in zip(rows, drawn.chunks, strict=True)
                ]
            wanted = ((i, row) for i, row in enumerate(rows) if drawn.chunks[i] is None)
            look = partial(read, top, known=self._known)
            for cuts in _ordered(self._pool, look, batches(wanted)):
                from_thread.check_cancelled()
                for one in cuts:
                    try:
                        chunks = self._numbered(top, rows[one.row], one, packer)
                        drawn.chunks[one.row] = chunks
                        self._taken[device, rows[one.row].stamp] = chunks
                        self._read += 1
                    except (Unsteady, OSError) as exc:
                        self._skipped.append((rows[one.row].path, str(exc)))
        finally:
            os.close(top)

    def _numbered(self, top: int, row: Found, found: Cut, packer: Packer) -> "array[int]":
        """Give the numbers of a file's chunks, packing what is new."""
        if found.fault is not None:
            raise Unsteady(found.fault)
        pieces = stream(top, row, self._known) if found.pieces is None else found.pieces
        return array("I", (self._take(piece, packer) for piece in pieces))

    def _take(self, piece: Piece, packer: Packer) -> int:
        """Give a chunk's number, packing it if it is new."""
        number = self._known.get(piece.digest)
        if number is None:
            assert piece.content is not None, "a reader leaves out only what is known"
            number = self._known[piece.digest] = packer.add(piece.digest, piece.content)
        return number

    def _rows(self, drawn: Drawn) -> Rows:
        """Make a tree of what was read."""
        rows, left_out = Rows(), set()
        self._skipped += drawn.scan.skipped
        for row, refs, used in zip(drawn.scan.rows, drawn.chunks, drawn.used, strict=True):
            if refs is None or (row.kind == HARD and row.target in left_out):
                left_out.add(row.path)
                continue
            self._files += row.kind == FILE
            rows.add(
                row.path,
                row.kind,
                row.mode,
                row.mtime,
                owner=row.owner,
                chunks=refs,
                target=row.target,
                xattrs=row.xattrs,
                used=used,
            )
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
