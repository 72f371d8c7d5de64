"""Changesets: two directories, and what was done between them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api.directory import Directory
from pipelines.engine.api.file import File
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import fields_of
from pipelines.engine.op import Apply, Copy, Diff, Edge, Empty, Merge, Patch, Write, WritePatch
from pipelines.engine.tree import Tree, changes

__all__ = ["FIELDS", "STAT", "Changeset", "DiffStat"]


@dataclass(frozen=True, slots=True)
class Changeset:
    """What makes `after` of `before`."""

    TYPE: ClassVar[str] = "Changeset"

    before: Directory
    after: Directory


@dataclass(frozen=True, slots=True)
class DiffStat:
    """One changed path and how many lines of it changed."""

    TYPE: ClassVar[str] = "DiffStat"

    path: str
    kind: str
    added_lines: int
    removed_lines: int
    old_path: str | None


def empty(_session: Session, _root: object) -> Changeset:
    """Start from no changes."""
    nothing = Directory(Edge(Empty()))
    return Changeset(nothing, nothing)


def between(_session: Session, it: Directory, *, from_: Directory) -> Changeset:
    """Compare a directory with what it was."""
    return Changeset(from_, it)


def with_changes(_session: Session, it: Directory, *, changes: Changeset) -> Directory:
    """Do to a directory what was done between two others."""
    return Directory(Edge(Apply(it.edge, changes.before.edge, changes.after.edge)))


def with_patch(_session: Session, it: Directory, *, patch: str) -> Directory:
    """Apply a patch."""
    text = Write(Edge(Empty()), "patch", patch.encode("utf-8", "surrogateescape"))
    return Directory(Edge(Patch(it.edge, Edge(text))))


def with_patch_file(_session: Session, it: Directory, *, patch: File) -> Directory:
    """Apply a patch that is a file."""
    return Directory(Edge(Patch(it.edge, patch.edge)))


def with_changesets(
    _session: Session, it: Changeset, *, changes: tuple[Changeset, ...], on_conflict: str
) -> Changeset:
    """Add what others did, line by line where several changed one file."""
    if not changes:
        return it
    all_ = (it, *changes)
    before = it.before.edge
    for other in changes:
        if other.before.edge != before:
            before = Edge(Copy(before, other.before.edge, ""))
    lowers, uppers = (one.before.edge for one in all_), (one.after.edge for one in all_)
    after = Merge(before, tuple(lowers), tuple(uppers), on_conflict)
    return Changeset(Directory(before), Directory(Edge(after)))


def with_changeset(
    session: Session, it: Changeset, *, changes: Changeset, on_conflict: str
) -> Changeset:
    """Add what another did."""
    return with_changesets(session, it, changes=(changes,), on_conflict=on_conflict)


async def _trees(session: Session, it: Changeset) -> tuple[Tree, Tree]:
    engine = session.engine
    return await engine.tree(it.before.edge), await engine.tree(it.after.edge)


async def _changes(session: Session, it: Changeset) -> changes.Changes:
    return changes.between(*await _trees(session, it))


async def is_empty(session: Session, it: Changeset) -> bool:
    """Tell whether no file changed."""
    return (await _changes(session, it)).is_empty


async def added_paths(session: Session, it: Changeset) -> tuple[str, ...]:
    """List what is new; directories end with "/"."""
    return (await _changes(session, it)).added


async def modified_paths(session: Session, it: Changeset) -> tuple[str, ...]:
    """List the files that are other than they were."""
    return (await _changes(session, it)).modified


async def removed_paths(session: Session, it: Changeset) -> tuple[str, ...]:
    """List what is gone; of a directory, the directory alone."""
    return (await _changes(session, it)).removed


async def diff_stats(session: Session, it: Changeset) -> tuple[DiffStat, ...]:
    """Count the changed lines, path by path."""
    before, after = await _trees(session, it)
    found = await session.engine.reading(lambda read: changes.stats(before, after, read))
    return tuple(
        DiffStat(s.path, s.kind, s.added_lines, s.removed_lines, s.old_path) for s in found
    )


def layer(_session: Session, it: Changeset) -> Directory:
    """Give what is new or other, as a directory."""
    return Directory(Edge(Diff(it.before.edge, it.after.edge)))


def as_patch(_session: Session, it: Changeset) -> File:
    """Write a patch that `git apply` and `withPatchFile` take."""
    return File(Edge(WritePatch(it.before.edge, it.after.edge)))


async def export(session: Session, it: Changeset, *, path: str) -> str:
    """Do to a directory of the host what was done."""
    gone = (await _changes(session, it)).removed
    tree = await session.engine.tree(layer(session, it).edge)
    return await session.engine.export_changes(tree, gone, path)


async def sync(session: Session, it: Changeset) -> str:
    """Force both directories."""
    await _trees(session, it)
    return session.objects.remember(it)


FIELDS: dict[str, Callable[..., Any]] = {
    **fields_of(("after", "after"), ("before", "before")),
    "addedPaths": added_paths,
    "asPatch": as_patch,
    "diffStats": diff_stats,
    "export": export,
    "isEmpty": is_empty,
    "layer": layer,
    "modifiedPaths": modified_paths,
    "removedPaths": removed_paths,
    "sync": sync,
    "withChangeset": with_changeset,
    "withChangesets": with_changesets,
}
STAT = fields_of(
    ("addedLines", "added_lines"),
    ("kind", "kind"),
    ("oldPath", "old_path"),
    ("path", "path"),
    ("removedLines", "removed_lines"),
)
