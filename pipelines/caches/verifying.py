"""Reading all of a generation to see that it is whole, and saying what is in it."""

from collections.abc import Mapping
from dataclasses import dataclass

import anyio.to_thread
from blake3 import blake3

from pipelines.caches.compaction import live_bytes
from pipelines.caches.errors import Damaged, Missing
from pipelines.caches.faults import inflate
from pipelines.caches.generation import Generation, TreeInfo
from pipelines.caches.index import MAGIC, Index
from pipelines.caches.limits import DEFAULT, Limits
from pipelines.caches.planning import check
from pipelines.caches.transport import Transport

__all__ = ["Summary", "Verified", "inspect", "verify"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read, and for each object that is not what it should be, why."""

    packs: int
    bytes: int
    faults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Summary:
    """A generation in numbers; `live` is the part of the packs' bytes that its trees need."""

    number: int
    digest: str
    kind: str
    made: float
    parents: tuple[str, ...]
    meta: Mapping[str, str]
    trees: tuple[TreeInfo, ...]
    records: int
    packs: tuple[tuple[str, int, float], ...]
    size: int
    live: float
    chunks: int
    manifest: int


async def verify(
    transport: Transport, generation: Generation, limits: Limits = DEFAULT
) -> Verified:
    """Read every pack of a generation, and try every tree's names and sizes.

    Raises:
        Unavailable: the backend does not answer.
    """
    faults: dict[str, str] = {}
    size = 0
    for number, pack in enumerate(generation.packs):
        try:
            content = await transport.read(pack.name)
            size += len(content)
            await anyio.to_thread.run_sync(_pack, generation.index, number, content)
        except (Missing, Damaged) as exc:
            faults[pack.name] = str(exc)
    for name in generation.trees:
        try:
            await anyio.to_thread.run_sync(_tree, generation, name, limits)
        except Damaged as exc:
            faults[f"tree {name!r}"] = str(exc)
    return Verified(len(generation.packs), size, faults)


def _pack(index: Index, number: int, content: bytes) -> None:
    pack = index.packs[number]
    if len(content) != pack.size or blake3(content).digest() != pack.digest:
        raise Damaged(f"{len(content)} bytes that are not those of its name")
    if not content.startswith(MAGIC):
        raise Damaged(f"it begins with {content[:8]!r}")
    frames: dict[int, list[int]] = {}
    for chunk, frame in enumerate(index.frames):
        if index.homes[frame] == number:
            frames.setdefault(frame, []).append(chunk)
    for frame, chunks in frames.items():
        start = index.starts[frame]
        what = f"the frame at {start}"
        kept = content[start : start + index.sizes[frame]]
        if blake3(kept).digest() != index.seal(frame):
            raise Damaged(f"{what} is not what the manifest says")
        raw = memoryview(inflate(kept, index.raws[frame], what))
        for chunk in chunks:
            offset = index.offsets[chunk]
            piece = raw[offset : offset + index.lengths[chunk]]
            if blake3(piece).digest() != index.digest(chunk):
                raise Damaged(f"a chunk at {offset} of {what} is not what the manifest says")


def _tree(generation: Generation, name: str, limits: Limits) -> None:
    rows, info = generation.rows(name), generation.trees[name]
    check(rows, exact=generation.kind == "results")
    if info != TreeInfo(name, rows.named(generation.index), len(rows), rows.size(generation.index)):
        raise Damaged(f"it is not the tree {info.digest} of {info.size} bytes")
    if info.size > limits.size:
        raise Damaged(f"{info.size} bytes; {limits.size} are allowed")


def inspect(generation: Generation) -> Summary:
    """Say what is in a generation; nothing is read."""
    index = generation.index
    live: set[int] = set()
    for name in generation.trees:
        live.update(generation.rows(name).refs)
    used = live_bytes(index, live)
    packs = tuple(
        (pack.name, pack.size, used.get(number, 0.0) / max(1, pack.size))
        for number, pack in enumerate(index.packs)
    )
    size = sum(pack.size for pack in index.packs)
    return Summary(
        generation.number,
        generation.digest,
        generation.kind,
        generation.made,
        generation.parents,
        generation.meta,
        tuple(generation.trees.values()),
        len(generation.records),
        packs,
        size,
        sum(used.values()) / size if size else 1.0,
        len(index),
        len(generation.content),
    )
