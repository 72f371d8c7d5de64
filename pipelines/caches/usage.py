"""What of a tree is known already, and what was used: the two questions of a save.

A tool that touches what it uses (`habits`) shows it by times: files were restored with an old
time, and whoever has a newer one was used, or is new. Of the rest the base knows when they were
used last; entries that neither the present generation nor the one before it used are left out.
What is unused keeps the time that it had before it was set back.

On a store that outlives its runs two things are told apart besides. A file that is young was
perhaps used without being touched: it counts as used. One that was there at the last save, and
was left out of it, is not new.
"""

from array import array
from dataclasses import dataclass, field
from functools import partial

from pipelines.caches.habits import Habit
from pipelines.caches.scan import Found, Scan
from pipelines.caches.seen import Seen, Stamp
from pipelines.caches.tree import FILE, HARD, Rows

__all__ = ["Drawn", "draw"]


@dataclass(slots=True)
class Drawn:
    """A scan, and for each row its chunks (None: to be read) and the generation that used it."""

    scan: Scan
    taken: int
    chunks: list["array[int] | None"] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    trimmed: int = 0

    @property
    def unread(self) -> int:
        """Add up the bytes that are to be read."""
        pairs = zip(self.scan.rows, self.chunks, strict=True)
        return sum(row.size for row, known in pairs if known is None)

    def seen(self) -> Seen:
        """Give the stamps of files, for a generation that has no digest yet."""
        stamps = {row.path: row.stamp for row in self.scan.rows if row.kind == FILE}
        return Seen("", self.taken, stamps)


@dataclass(frozen=True, slots=True)
class _Before:
    """A file as the base has it."""

    chunks: "array[int]"
    mtime: int
    used: int


def draw(drawn: Drawn, habit: Habit, number: int, rows: Rows | None, seen: Seen | None) -> Drawn:
    """Find out what is known and used; `rows` and `seen` are of the tree as it was restored."""
    found, drawn.scan = drawn.scan, Scan(skipped=drawn.scan.skipped)
    before = _before(rows) if rows is not None else {}
    none, seen_as = array("I"), partial(_look, habit=habit, number=number, seen=seen)
    linked = {row.target for row in found.rows if row.kind == HARD}
    for row in found.rows:
        chunks: array[int] | None = none
        used = number
        if row.kind == FILE:
            chunks, used = seen_as(row, before.get(row.path), drawn.taken)
            if used + habit.keep < number and row.path not in linked:
                drawn.trimmed += 1
                continue
        drawn.scan.rows.append(row)
        drawn.chunks.append(chunks)
        drawn.used.append(used)
    return drawn


def _look(
    row: Found,
    before: _Before | None,
    taken: int,
    *,
    habit: Habit,
    number: int,
    seen: Seen | None,
) -> tuple["array[int] | None", int]:
    """Give a file's chunks, if they are known, and when it was used."""
    shows = habit.aged is not None and habit.entry.fullmatch(row.path) is not None
    stamp = seen.stamps.get(row.path) if seen is not None else None
    if before is None or seen is None or stamp is None:
        left_out = shows and seen is not None and stamp is None and seen.older(row.stamp)
        return None, -1 if left_out else number
    same = seen.same(row.path, row.stamp) or _only_touched(row, stamp, habit)
    chunks = before.chunks if same else None
    if habit.aged is None or row.mtime != stamp[2]:
        return chunks, number
    young = taken - row.mtime < habit.aged * 10**9
    row.mtime = before.mtime
    return chunks, before.used if shows and not young else number


def _only_touched(row: Found, stamp: Stamp, habit: Habit) -> bool:
    """Whether a file whose name is its contents is the same file with another time."""
    fixed = habit.fixed is not None and row.path.endswith(habit.fixed)
    return fixed and (row.stamp[0], row.stamp[3]) == (stamp[0], stamp[3])


def _before(rows: Rows) -> dict[bytes, _Before]:
    return {
        rows.paths[row]: _Before(rows.refs[start:stop], rows.mtimes[row], rows.used[row])
        for row, start, stop in rows.spans()
        if rows.kinds[row] == FILE
    }
