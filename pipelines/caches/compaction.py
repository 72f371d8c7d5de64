"""Compaction: which packs are written anew, so that neither waste nor requests grow.

    waste       less than half of all bytes are live: the emptiest packs, until half is
    requests    more than eight packs under 8 MiB, or more packs than a restore has requests
                for: the smallest, together

What is rewritten is read from the backend, verified as in a restore, frame by frame: frames that
are live as a whole move as they are, of the others the live chunks. All else stays where it is.
"""

from collections.abc import Iterable

from pipelines.caches.index import Index
from pipelines.caches.packing import PACK

__all__ = ["live_bytes", "victims"]

_DELTAS = 8
_FULL = 32 << 20
_ROOM = 4  # packs fewer than allowed, so that not every save compacts


def live_bytes(index: Index, live: Iterable[int]) -> dict[int, float]:
    """Estimate for each pack how many of its bytes hold live chunks."""
    raw: dict[int, int] = {}
    for chunk in live:
        frame = index.frames[chunk]
        raw[frame] = raw.get(frame, 0) + max(1, index.lengths[chunk])
    found: dict[int, float] = {}
    for frame, used in raw.items():
        share = index.sizes[frame] * min(1.0, used / max(1, index.raws[frame]))
        home = index.homes[frame]
        found[home] = found.get(home, 0.0) + share
    return found


def victims(index: Index, live: Iterable[int]) -> set[int]:
    """Choose the packs to be written anew; those without live chunks need no choice."""
    held = live_bytes(index, live)
    sizes = {pack: index.packs[pack].size for pack in held}
    chosen: set[int] = set()
    total, used = sum(sizes.values()), sum(held.values())
    for pack in sorted(held, key=lambda p: held[p] / sizes[p]):
        if used * 2 >= total or held[pack] * 2 >= sizes[pack]:
            break
        chosen.add(pack)
        total -= sizes[pack] - int(held[pack])
    left = sorted((p for p in held if p not in chosen), key=lambda p: (sizes[p], p))
    small = [pack for pack in left if sizes[pack] < PACK]
    if len(small) > _DELTAS:
        chosen.update(small)
    allowed = max(_DELTAS + _ROOM, total // _FULL + _DELTAS)
    if len(left) > allowed:
        chosen.update(left[: len(left) - allowed + _ROOM])
    return chosen
