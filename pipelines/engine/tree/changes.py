"""What changed between two trees, as Dagger's changesets and git see it.

Contents, link targets and whether a file is executable count; owners, times and other bits do
not. Directories end with "/" and count only as being there or not.

Source: dagger `core/changeset.go`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.engine.text.diffs import LINK, FileDiff, Side, counted, is_binary
from pipelines.engine.text.lines import split
from pipelines.engine.tree import Entry, Tree

__all__ = ["Changes", "Stat", "between", "differs", "diffs", "stats"]

Read = Callable[[Entry], bytes]

_SIMILAR = 0.5
_PAIRS = 100_000


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths, sorted; `removed` names a removed directory, but nothing in it."""

    added: tuple[str, ...]
    modified: tuple[str, ...]
    all_removed: tuple[str, ...]

    @property
    def removed(self) -> tuple[str, ...]:
        """What was removed, without what went with its directory."""
        kept: list[str] = []
        for path in self.all_removed:
            if not (kept and kept[-1].endswith("/") and path.startswith(kept[-1])):
                kept.append(path)
        return tuple(kept)

    @property
    def is_empty(self) -> bool:
        """Whether no file changed; a directory alone is no change to git."""
        paths = (*self.added, *self.modified, *self.all_removed)
        return all(path.endswith("/") for path in paths)


@dataclass(frozen=True, slots=True)
class Stat:
    """One change with its lines; `old_path` is set for a rename."""

    path: str
    kind: Literal["ADDED", "MODIFIED", "REMOVED", "RENAMED"]
    added_lines: int
    removed_lines: int
    old_path: str | None = None


def between(before: Tree, after: Tree) -> Changes:
    """Compare two trees."""
    added = [_shown(p, e) for p, e in after.items() if _is_other(before.get(p), e)]
    removed = [_shown(p, e) for p, e in before.items() if _is_other(after.get(p), e)]
    modified = [p for p, e in after.items() if p in before and differs(before[p], e)]
    return Changes(tuple(sorted(added)), tuple(sorted(modified)), tuple(sorted(removed)))


def _shown(path: str, entry: Entry) -> str:
    return path + "/" if entry.kind == "dir" else path


def _is_other(there: Entry | None, entry: Entry) -> bool:
    """Tell whether nothing is there, or a directory instead of a file or the other way round."""
    return there is None or (there.kind == "dir") is not (entry.kind == "dir")


def differs(one: Entry, other: Entry) -> bool:
    """Tell whether git would see a difference between two entries that are no directories."""
    if "dir" in {one.kind, other.kind}:
        return False
    return (_mode(one), one.content, one.target) != (_mode(other), other.content, other.target)


def _mode(entry: Entry) -> int:
    if entry.kind == "link":
        return LINK
    return 0o100755 if entry.mode & 0o111 else 0o100644


def diffs(before: Tree, after: Tree, read: Read) -> Iterator[FileDiff]:
    """Give the changed files in the order of their paths, renames as one; reads contents."""
    changes = between(before, after)
    gone = [path for path in changes.all_removed if not path.endswith("/")]
    come = [path for path in changes.added if not path.endswith("/")]
    old = {path: _side(before, path, read) for path in (*gone, *changes.modified)}
    new = {path: _side(after, path, read) for path in (*come, *changes.modified)}
    renamed = _renames({p: old[p] for p in gone}, {p: new[p] for p in come})
    moved = set(renamed.values())
    for path in sorted({*old, *new}):
        if path in renamed:
            yield FileDiff(old[renamed[path]], new[path])
        elif path in new:
            yield FileDiff(old.get(path) if path in changes.modified else None, new[path])
        if path in gone and path not in moved:
            yield FileDiff(old[path], None)


def _side(tree: Tree, path: str, read: Read) -> Side:
    entry = tree[path]
    is_link = entry.kind == "link"
    data = entry.target.encode("utf-8", "surrogateescape") if is_link else read(entry)
    return Side(path, _mode(entry), data)


def stats(before: Tree, after: Tree, read: Read) -> list[Stat]:
    """Count the lines of every change; directories have none."""
    changes = between(before, after)
    found = [Stat(p, "ADDED", 0, 0) for p in changes.added if p.endswith("/")]
    found += [Stat(p, "REMOVED", 0, 0) for p in changes.all_removed if p.endswith("/")]
    for diff in diffs(before, after, read):
        added, removed = counted(diff)
        old, new = diff.old, diff.new
        if new is None:
            assert old is not None
            found.append(Stat(old.path, "REMOVED", added, removed))
        elif old is None:
            found.append(Stat(new.path, "ADDED", added, removed))
        elif old.path == new.path:
            found.append(Stat(new.path, "MODIFIED", added, removed))
        else:
            found.append(Stat(new.path, "RENAMED", added, removed, old.path))
    return sorted(found, key=lambda stat: stat.path)


def _renames(gone: Mapping[str, Side], come: Mapping[str, Side]) -> dict[str, str]:
    """Pair files that went with files that came: equal ones first, then those half alike."""
    found: dict[str, str] = {}
    left = dict(gone)
    by_content: dict[tuple[bool, bytes], list[str]] = {}
    for path in sorted(gone):
        by_content.setdefault((gone[path].mode == LINK, gone[path].data), []).append(path)
    for path in sorted(come):
        same = by_content.get((come[path].mode == LINK, come[path].data), [])
        # Of several equal files the one of the same name is meant.
        name = path.rpartition("/")[2]
        same.sort(key=lambda old: old.rpartition("/")[2] != name)
        if same and come[path].data:
            found[path] = same.pop(0)
            del left[found[path]]
    fresh = {path: come[path] for path in come if path not in found}
    if len(left) * len(fresh) <= _PAIRS:
        found.update(_alike(left, fresh))
    return found


def _alike(gone: Mapping[str, Side], come: Mapping[str, Side]) -> Iterator[tuple[str, str]]:
    """Pair files by how many of their bytes are in equal lines, the best pair first."""
    bags = {side.path: _bag(side) for side in (*gone.values(), *come.values())}
    scored = [
        (_likeness(bags[old], bags[new]), old, new)
        for old in gone
        for new in come
        if gone[old].mode != LINK and come[new].mode != LINK
    ]
    taken: set[str] = set()
    for score, old, new in sorted(scored, key=lambda one: (-one[0], one[1], one[2])):
        if score < _SIMILAR:
            return
        if old not in taken and new not in taken:
            taken |= {old, new}
            yield new, old


def _bag(side: Side) -> Counter[bytes]:
    data = side.data
    pieces: Sequence[bytes] = [data] if is_binary(data) else split(data)
    return Counter(pieces)


def _likeness(one: Counter[bytes], other: Counter[bytes]) -> float:
    sizes = [sum(len(line) * count for line, count in bag.items()) for bag in (one, other)]
    common = sum(len(line) * count for line, count in (one & other).items())
    return common / max(*sizes, 1)
