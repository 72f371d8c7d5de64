"""Two generations made one: what two savers of one key left, or jobs of a matrix.

Entries of both are there. Where both have a path, the newer generation's entry is taken, and
with it what is below: a file there is no directory here. A cache whose entries are not named
by what they are made from (`habits`) can not be united: the newer is taken whole.
Nothing is read or written: the index of the new generation names packs of both.
"""

from collections.abc import Mapping

from pipelines.caches.generation import Generation, load, put, seal
from pipelines.caches.habits import habit
from pipelines.caches.index import Index
from pipelines.caches.transport import Transport
from pipelines.caches.tree import DIR, FILE, HARD, Rows

__all__ = ["merge", "unite"]


def merge(one: Generation, other: Generation) -> Generation:
    """Unite two generations; in either order they make the same."""
    if one.digest == other.digest:
        return one
    newer, older = sorted((one, other), key=_age, reverse=True)
    index, numbers = _united(newer.index, older.index)
    trees: dict[str, Rows] = {}
    for name in {*newer.trees, *older.trees}:
        if name not in older.trees:
            trees[name] = newer.rows(name)
        elif name not in newer.trees:
            trees[name] = older.rows(name).mapped(numbers)
        elif _unites(newer) and newer.trees[name].digest != older.trees[name].digest:
            trees[name] = _union(newer.rows(name), older.rows(name).mapped(numbers))
        else:
            trees[name] = newer.rows(name)
    return seal(
        number=max(one.number, other.number) + 1,
        parents=sorted((one.digest, other.digest)),
        made=max(one.made, other.made),
        kind=newer.kind,
        meta={**older.meta, **newer.meta},
        trees=trees,
        records={**older.records, **newer.records},
        index=index,
    )


async def unite(transport: Transport, mine: Generation, theirs: str) -> Generation:
    """Load what another saver published, merge, and write the manifest of both."""
    united = merge(mine, await load(transport, theirs))
    await put(transport, united)
    return united


def _age(generation: Generation) -> tuple[int, float, str]:
    return generation.number, generation.made, generation.digest


def _unites(generation: Generation) -> bool:
    """Whether trees of the same name may be united; layers of results are named by contents."""
    if generation.kind == "build":
        return habit(generation.meta.get("habit", "")).keyed
    return generation.kind == "download"


def _united(newer: Index, older: Index) -> tuple[Index, Mapping[int, int]]:
    """Add to an index what another has; give the other's chunks their new numbers."""
    index = newer.copy()
    known = index.known()
    packs = {pack.digest: number for number, pack in enumerate(index.packs)}
    places = {(index.homes[f], index.starts[f]): f for f in range(len(index.homes))}
    numbers: dict[int, int] = {}
    for chunk in range(len(older)):
        digest = older.digest(chunk)
        if digest not in known:
            frame = older.frames[chunk]
            pack = older.packs[older.homes[frame]]
            if pack.digest not in packs:
                packs[pack.digest] = index.add_pack(pack)
            home, start = packs[pack.digest], older.starts[frame]
            if (home, start) not in places:
                places[home, start] = index.add_frame(
                    home, start, older.sizes[frame], older.raws[frame], older.seal(frame)
                )
            known[digest] = index.add_chunk(
                places[home, start], older.offsets[chunk], older.lengths[chunk], digest
            )
        numbers[chunk] = known[digest]
    return index, numbers


def _union(newer: Rows, older: Rows) -> Rows:
    """Take all rows of the newer tree, and of the older those that find a place among them."""
    taken = dict(zip(newer.paths, newer.kinds, strict=True))
    picked = [(path, 0, row, start, stop) for path, row, start, stop in _spans(newer)]
    for path, row, start, stop in _spans(older):
        parent = path.rpartition(b"/")[0]
        lost = older.kinds[row] == HARD and taken.get(older.targets[row]) != FILE
        if path not in taken and taken.get(parent) == DIR and not lost:
            taken[path] = older.kinds[row]
            picked.append((path, 1, row, start, stop))
    picked.sort()
    made = Rows()
    for path, side, row, start, stop in picked:
        rows = older if side else newer
        made.add(
            path,
            rows.kinds[row],
            rows.modes[row],
            rows.mtimes[row],
            owner=(rows.uids[row], rows.gids[row]),
            chunks=rows.refs[start:stop],
            target=rows.targets.get(row, b""),
            xattrs=rows.xattrs.get(row, ()),
            used=rows.used[row],
        )
    return made


def _spans(rows: Rows) -> list[tuple[bytes, int, int, int]]:
    return [(rows.paths[row], row, start, stop) for row, start, stop in rows.spans()]
