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

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from pipelines.caches.faults import first
from pipelines.caches.generation import Generation, GenerationKind, put
from pipelines.caches.habits import Habit
from pipelines.caches.making import Job, Made, make
from pipelines.caches.packing import Packed
from pipelines.caches.scan import Scan
from pipelines.caches.seen import Seen
from pipelines.caches.transport import Transport

__all__ = ["Saved", "save"]

_UPLOADS = 4


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did.

    `bytes` were sent, of `files` files `read` were read; `skipped` paths are not in the
    generation, and why; `trimmed` entries were not used any more; `rewritten` packs were
    compacted. `seen` is for the next save.
    """

    bytes: int = 0
    files: int = 0
    read: int = 0
    requests: int = 0
    seconds: float = 0.0
    skipped: tuple[tuple[str, str], ...] = ()
    trimmed: int = 0
    rewritten: int = 0
    seen: Mapping[str, Seen] | None = None


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
    scans: Mapping[str, Scan] | None = None,
    habit: Habit | None = None,
    exact: bool = False,
    level: int = 3,
) -> tuple[Generation, Saved]:
    """Write the packs and the manifest of the generation after `base`; not its head.

    Trees of `base` that are not given again, and its records, are carried over, but for the
    names in `drop`. `seen` are the stamps from when a tree was restored or saved last. A tree in
    `scans` is not walked: it lies elsewhere, and its directory has what is to be read of it. With
    `exact`, owners, attributes and whiteouts are kept (the engine's volumes and layers). Results
    are whole; of other kinds credentials are left out, and what the tool's `habit` (by default
    the one that shows) says. If the tool shows what it used, what it no longer uses is left out
    as well. `level` is zstd's (`policy.level`).

    Raises:
        Unavailable: the backend does not take it.
    """
    begun = time.monotonic()
    job = Job(
        base, kind, dict(meta or {}), dict(records or {}), frozenset(drop), habit, exact, level,
        dict(scans or {}),
    )  # fmt: skip
    made, sent = await _made_and_sent(transport, job, trees, dict(seen or {}))
    await put(transport, made.generation)
    return made.generation, Saved(
        sent.bytes + len(made.generation.content),
        made.files,
        made.read,
        sent.requests + 1,
        time.monotonic() - begun,
        tuple((path.decode(errors="surrogateescape"), why) for path, why in made.skipped),
        made.trimmed,
        made.rewritten,
        {name: replace(s, base=made.generation.digest) for name, s in made.seen.items()},
    )


@dataclass(slots=True)
class _Sent:
    bytes: int = 0
    requests: int = 0


async def _made_and_sent(
    transport: Transport, job: Job, trees: Mapping[str, Path], seen: Mapping[str, Seen]
) -> tuple[Made, _Sent]:
    """Make packs in a thread and write them as they come."""
    sent = _Sent()
    send, receive = anyio.create_memory_object_stream[Packed](1)
    try:
        async with anyio.create_task_group() as group, send:
            for _ in range(_UPLOADS):
                group.start_soon(_upload, transport, receive.clone(), sent)
            receive.close()
            made = await anyio.to_thread.run_sync(make, transport, job, trees, seen, send)
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
