"""Restoring a tree of a generation into a new directory.

Theory of operation
    Before anything is asked or written the tree is *planned*: paths are tried (`plan`), sizes
    held against the limits, and the frames that hold its chunks gathered into few ranges of
    packs. Ranges are read a few at a time; each is cut into batches of frames, and two threads
    verify, decompress, verify again and write. A frame's compressed bytes are compared with
    its digest before zstd sees them, and every chunk with its own before a byte is written.

    A file is made with its first chunk and gets its times with its last. Directories come
    first, links and the times of directories last. All names are new, made exclusively in a
    directory of ours that nobody else knows, below directories that this restore made:
    nothing is followed. Whatever goes wrong, the directory is empty afterwards.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from anyio import CapacityLimiter

from pipelines.caches.faults import first
from pipelines.caches.generation import Generation
from pipelines.caches.habits import habit
from pipelines.caches.limits import DEFAULT, Limits
from pipelines.caches.placing import Placing
from pipelines.caches.planning import Range, plan, ranges
from pipelines.caches.seen import Seen
from pipelines.caches.transport import Transport

__all__ = ["Progress", "Restored", "restore"]

_CORES = 2
_READS = 4
_BATCH = 8 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did; `seen` is for the save that follows."""

    bytes: int
    size: int
    files: int
    requests: int
    seconds: float
    seen: Seen


async def restore(
    transport: Transport,
    generation: Generation,
    name: str,
    into: Path,
    *,
    exact: bool = False,
    aging: bool = False,
    progress: Progress | None = None,
    limits: Limits = DEFAULT,
) -> Restored:
    """Put a tree of the generation into a new, empty directory, exactly as it was saved.

    With `aging`, the files of a tool that shows what it uses (`habits`) get one old time, so
    that the save which is told `seen` can leave out what was not used. With `exact`, owners,
    attributes, setuid bits and whiteouts come back too (layers of the engine). `progress` is called
    with the bytes that were read and those that are to be read, first when the requests begin.

    Raises:
        Missing: a pack is gone.
        Damaged: bytes are not what their digests say, a path would escape, a claim is too large.
        Unavailable: the backend does not answer.
    """
    begun = time.monotonic()
    planned = await anyio.to_thread.run_sync(plan, generation, name, limits, exact)
    wanted = ranges(generation.index, planned)
    placing = Placing(
        generation.index, planned, into, exact=exact, when=_old(generation, aging=aging)
    )
    try:
        await anyio.to_thread.run_sync(placing.begin)
        await _fill(transport, generation, wanted, placing, progress)
        seen = await anyio.to_thread.run_sync(placing.finish, generation.digest)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(placing.abandon)
        raise
    return Restored(
        sum(one.size for one in wanted),
        planned.size,
        planned.files,
        len(wanted),
        time.monotonic() - begun,
        seen,
    )


def _old(generation: Generation, *, aging: bool) -> int | None:
    """Choose the time that files are set back to, if use is to show."""
    aged = habit(generation.meta.get("habit", "")).aged if aging else None
    return None if aged is None else time.time_ns() - aged * 10**9


async def _fill(
    transport: Transport,
    generation: Generation,
    wanted: Sequence[Range],
    placing: Placing,
    progress: Progress | None,
) -> None:
    """Read the ranges, a few at a time, and place what comes."""
    reading, placed = CapacityLimiter(_READS), CapacityLimiter(_CORES)
    total, done = sum(one.size for one in wanted), 0
    if progress is not None:
        progress(0, total)

    async def one(part: Range) -> None:
        nonlocal done
        async with reading:
            name = generation.packs[part.pack].name
            content = await transport.read(name, part.start, part.size)
            async with anyio.create_task_group() as inner:
                for frames in batched(generation.index.raws, part.frames):
                    inner.start_soon(write, part, content, frames)
        done += part.size
        if progress is not None:
            progress(done, total)

    async def write(part: Range, content: bytes, frames: Sequence[int]) -> None:
        await anyio.to_thread.run_sync(placing.put, part, content, frames, limiter=placed)

    try:
        async with anyio.create_task_group() as group:
            for part in wanted:
                group.start_soon(one, part)
    except BaseExceptionGroup as exc:
        raise first(exc) from exc


def batched(raws: Sequence[int], frames: Sequence[int]) -> list[list[int]]:
    """Cut a range's frames into pieces of work, at least one for each core if there are two."""
    room = min(_BATCH, max(1, sum(raws[frame] for frame in frames) // _CORES + 1))
    made: list[list[int]] = []
    size = room
    for frame in frames:
        if size >= room:
            made.append([])
            size = 0
        made[-1].append(frame)
        size += raws[frame]
    return made
