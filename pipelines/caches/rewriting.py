"""Compaction at work: what `compaction` chose, read from the backend and packed anew."""

from collections.abc import Mapping

from anyio import from_thread
from blake3 import blake3

from pipelines.caches.compaction import victims
from pipelines.caches.errors import CacheError, Damaged
from pipelines.caches.faults import inflate
from pipelines.caches.index import Index
from pipelines.caches.packing import Packer
from pipelines.caches.transport import Transport
from pipelines.caches.tree import Rows

__all__ = ["compact"]


def compact(
    transport: Transport, index: Index, trees: Mapping[str, Rows], packer: Packer, packs: int
) -> tuple[dict[str, Rows], int]:
    """Write some of the first `packs` packs anew; give the trees with new chunk numbers.

    What can not be read is left where it is: compaction is for the next save as well. Runs in
    a thread that anyio started.
    """
    live = {chunk for rows in trees.values() for chunk in rows.refs}
    old = {chunk for chunk in live if index.frames[chunk] < packer.first}
    chosen = victims(index, old) if packs else set()
    moved: dict[int, int] = {}
    done = 0
    for pack in sorted(chosen, key=lambda p: index.packs[p].digest):
        try:
            content = from_thread.run(transport.read, index.packs[pack].name)
            moved |= _moved(index, pack, content, old, packer)
            done += 1
        except CacheError:
            continue
    if not moved:
        return dict(trees), 0
    numbers = list(range(len(index)))
    for was, now in moved.items():
        numbers[was] = now
    return {name: rows.mapped(numbers) for name, rows in trees.items()}, done


def _moved(
    index: Index, pack: int, content: bytes, live: set[int], packer: Packer
) -> dict[int, int]:
    """Pack a pack's live chunks anew; give their new numbers."""
    frames: dict[int, list[int]] = {}
    for chunk in live:
        if index.homes[index.frames[chunk]] == pack:
            frames.setdefault(index.frames[chunk], []).append(chunk)
    if blake3(content).digest() != index.packs[pack].digest:
        raise Damaged(f"{index.packs[pack].name} is not what its name says")
    moved: dict[int, int] = {}
    for frame in sorted(frames, key=lambda f: index.starts[f]):
        start, raw = index.starts[frame], index.raws[frame]
        kept = content[start : start + index.sizes[frame]]
        chunks = sorted(frames[frame], key=lambda c: index.offsets[c])
        if sum(index.lengths[chunk] for chunk in chunks) == raw:
            home = packer.adopt(kept, raw, index.seal(frame))
            for c in chunks:
                moved[c] = index.add_chunk(
                    home, index.offsets[c], index.lengths[c], index.digest(c)
                )
        else:
            opened = inflate(kept, raw, f"a frame of {index.packs[pack].name}")
            for c in chunks:
                piece = opened[index.offsets[c] : index.offsets[c] + index.lengths[c]]
                if blake3(piece).digest() != index.digest(c):
                    raise Damaged(f"a chunk of {index.packs[pack].name} is not what it should be")
                moved[c] = packer.add(index.digest(c), piece)
    return moved
