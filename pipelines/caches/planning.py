"""What a restore will do, before it does anything: names that are allowed, ranges to read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.caches.errors import Damaged
from pipelines.caches.generation import Generation
from pipelines.caches.index import Index
from pipelines.caches.limits import Limits
from pipelines.caches.tree import DIR, FILE, HARD, LINK, WHITEOUT, Rows

__all__ = ["Plan", "Range", "check", "plan", "ranges"]

_NEAR = 512 << 10  # a gap that costs less to read than another request
_REQUESTS = 8
_BITS = 0o7777
_SET_ID = 0o6000
_NOT_NAMES = frozenset((b"", b".", b".."))


@dataclass(slots=True)
class Plan:
    """The rows of a tree, and for each chunk the files and offsets where it belongs.

    `sizes` are those of files of several chunks, by row.
    """

    rows: Rows
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    size: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """A range of a pack, and the frames in it that are wanted, in order."""

    pack: int
    start: int
    size: int
    frames: Sequence[int]


def plan(generation: Generation, name: str, limits: Limits, exact: bool) -> Plan:
    """Try a tree's claims and gather where its chunks belong.

    Raises:
        Damaged: a path would escape, a claim is beyond the limits.
    """
    rows, lengths = generation.rows(name), generation.index.lengths
    check(rows, exact=exact)
    made = Plan(rows)
    made.size = rows.size(generation.index)
    if made.size > limits.size:
        raise Damaged(f"a tree of {made.size} bytes; {limits.size} are allowed")
    refs, places = rows.refs, made.places
    made.files = rows.kinds.count(FILE)
    for row, start, stop in rows.spans():
        offset = 0
        for chunk in refs[start:stop]:
            places.setdefault(chunk, []).append((row, offset))
            offset += lengths[chunk]
        if stop - start > 1:
            made.sizes[row] = offset
    return made


def check(rows: Rows, *, exact: bool) -> None:
    """Hold that a tree stays within itself.

    Every path is below a directory of the tree that comes before it, and appears once; so no
    path is absolute, climbs, or leads through a link. Setuid files and whiteouts are for the
    engine's layers (`exact`).

    Raises:
        Damaged: it does not.
    """
    directories = {b""}
    last: bytes | None = None
    for row, path in enumerate(rows.paths):
        kind, mode = rows.kinds[row], rows.modes[row]
        parent, _, name = path.rpartition(b"/")
        if last is None:
            if path or kind != DIR:
                raise Damaged(f"a tree that begins with {path!r}, not with its top")
        elif path <= last or name in _NOT_NAMES or path[:1] == b"/" or parent not in directories:
            raise Damaged(f"the path {path!r} is not one below a directory before it")
        if kind == DIR:
            directories.add(path)
        elif kind != FILE and rows.counts[row]:
            raise Damaged(f"{path!r} has contents and is no file")
        elif not exact and (kind == WHITEOUT or (kind == FILE and mode & _SET_ID)):
            raise Damaged(f"{path!r} of mode {mode:o} is not allowed here")
        if mode > _BITS or (kind == DIR and rows.counts[row]):
            raise Damaged(f"{path!r} has the mode {mode:o}")
        last = path
    _check_targets(rows)


def _check_targets(rows: Rows) -> None:
    hard = {rows.targets[row] for row, kind in enumerate(rows.kinds) if kind == HARD}
    if hard:
        files = {path for path, kind in zip(rows.paths, rows.kinds, strict=True) if kind == FILE}
        if missing := hard - files:
            raise Damaged(f"a hard link to {min(missing)!r}, which is no file of the tree")
    for row, target in rows.targets.items():
        if rows.kinds[row] == LINK and not target:
            raise Damaged(f"the link {rows.paths[row]!r} has no target")


def ranges(index: Index, wanted: Plan) -> list[Range]:
    """Gather the frames that hold the chunks into few ranges."""
    frames = sorted(
        {index.frames[chunk] for chunk in wanted.places},
        key=lambda f: (index.homes[f], index.starts[f]),
    )
    runs: list[list[int]] = []
    gaps: list[tuple[int, int]] = []  # between runs of one pack: how wide, before which run
    for frame in frames:
        gap = _gap(index, runs[-1][-1], frame) if runs else None
        if gap is not None and gap <= _NEAR:
            runs[-1].append(frame)
            continue
        if gap is not None:
            gaps.append((gap, len(runs)))
        runs.append([frame])
    joined = {before for _, before in sorted(gaps)[: max(0, len(runs) - _REQUESTS)]}
    made: list[list[int]] = []
    for number, run in enumerate(runs):
        if number in joined:
            made[-1] += run
        else:
            made.append(run)
    return [_range(index, run) for run in made]


def _gap(index: Index, before: int, after: int) -> int | None:
    """Count the bytes between two frames; None if they are of different packs."""
    if index.homes[before] != index.homes[after]:
        return None
    return index.starts[after] - index.starts[before] - index.sizes[before]


def _range(index: Index, frames: list[int]) -> Range:
    start, last = index.starts[frames[0]], frames[-1]
    return Range(
        index.homes[last], start, index.starts[last] + index.sizes[last] - start, tuple(frames)
    )
