"""Changesets that are merged: what several did to one directory, done by all of them.

File by file: what one side alone changed is taken, equal changes are made once, and texts that
both changed are merged line by line. What is left are conflicts, and the strategy says what is
done with them. Source: dagger `core/changeset.go`, which runs `git merge`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.engine.errors import PathError, QueryError
from pipelines.engine.run.contents import Contents
from pipelines.engine.text.diffs import is_binary
from pipelines.engine.text.merging import Favour, merge
from pipelines.engine.tree import DIRECTORY, Entry, Tree, parents
from pipelines.engine.tree.changes import differs

__all__ = ["merged"]

_FAVOURS: dict[str, Favour] = {"PREFER_OURS": "ours", "PREFER_THEIRS": "theirs"}


def merged(base: Tree, sides: Sequence[Tree], strategy: str, files: Contents) -> Tree:
    """Merge trees that were made of one, in turn.

    Raises:
        QueryError: there is a conflict that the strategy does not settle.
        PathError: a file of one side is in the place of a directory of another.
    """
    made = sides[0]
    for side in sides[1:]:
        made = _Merge(base, made, side, strategy, files).tree()
    return made


@dataclass(slots=True)
class _Merge:
    """Two trees being merged."""

    base: Tree
    ours: Tree
    theirs: Tree
    strategy: str
    files: Contents

    def tree(self) -> Tree:
        """Merge path by path; a directory is there if a side has it or something in it."""
        found: dict[str, Entry] = {}
        for path in sorted({*self.ours, *self.theirs}):
            entry = self._entry(path)
            if entry is None:
                continue
            for parent in parents(path):
                if found.setdefault(parent, self._directory(parent)).kind != "dir":
                    raise PathError(f"merge: {path} is below {parent}, which is a file of another")
            if entry.kind != "dir" or path not in found:
                found[path] = entry
        return Tree(found)

    def _directory(self, path: str) -> Entry:
        return self.ours.get(path) or self.theirs.get(path) or DIRECTORY

    def _entry(self, path: str) -> Entry | None:
        base, ours, theirs = (tree.get(path) for tree in (self.base, self.ours, self.theirs))
        if _same(ours, theirs) or _same(theirs, base):
            return ours
        if _same(ours, base):
            return theirs
        if self.strategy == "FAIL_EARLY":
            raise QueryError(f"merge: {path} was changed by both changesets")
        if ours is None or theirs is None:
            return self._kept(path, ours, theirs)
        if {ours.kind, theirs.kind} == {"file"} and (base is None or base.kind == "file"):
            return self._text(path, base, ours, theirs)
        return self._chosen(path, ours, theirs, "is of another kind, or another link, in each")

    def _kept(self, path: str, ours: Entry | None, theirs: Entry | None) -> Entry | None:
        """Settle what one side changed and the other removed."""
        if self.strategy == "LEAVE_CONFLICT_MARKERS":
            return ours or theirs
        return self._chosen(path, ours, theirs, "was changed by one and removed by the other")

    def _text(self, path: str, base: Entry | None, ours: Entry, theirs: Entry) -> Entry | None:
        old, one, other = (self._data(entry) for entry in (base, ours, theirs))
        mode = theirs.mode if base is not None and ours.mode == base.mode else ours.mode
        if any(map(is_binary, (old, one, other))):
            return self._chosen(path, ours, theirs, "holds bytes that both changed")
        text, fine = merge(old, one, other, _FAVOURS.get(self.strategy, ""))
        if not fine and self.strategy != "LEAVE_CONFLICT_MARKERS":
            raise QueryError(
                f"merge: both changesets changed the same lines of {path}; take one side with "
                "onConflict PREFER_OURS or PREFER_THEIRS, or LEAVE_CONFLICT_MARKERS"
            )
        return self.files.write(text, mode, ours.uid, ours.gid)

    def _chosen(
        self, path: str, ours: Entry | None, theirs: Entry | None, why: str
    ) -> Entry | None:
        if self.strategy in _FAVOURS:
            return ours if _FAVOURS[self.strategy] == "ours" else theirs
        raise QueryError(
            f"merge: {path} {why}; take one side with onConflict PREFER_OURS or PREFER_THEIRS"
        )

    def _data(self, entry: Entry | None) -> bytes:
        if entry is None:
            return b""
        with self.files.open(entry) as file:
            return file.read()


def _same(one: Entry | None, other: Entry | None) -> bool:
    """Tell whether two sides agree, for git: owners and times do not count."""
    if one is None or other is None or one.kind != other.kind:
        return one is other
    return not differs(one, other)
