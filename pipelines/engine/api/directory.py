"""Directories: an edge that gives a tree or a snapshot, and where in it the directory is.

`directory(path)` only notes the path; the op that takes the directory out is made when
something needs it, so a chain of `directory` calls is one op, and a container's `rootfs` is
the very edge that its commands start from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine import treeops, treepath
from pipelines.engine.api.file import File, owned, stat_of
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import Stat
from pipelines.engine.errors import EngineError, PathError
from pipelines.engine.op import (
    Chown,
    Copy,
    Diff,
    Edge,
    Filter,
    Link,
    MakeDir,
    Op,
    Remove,
    Select,
    Touch,
    Write,
)
from pipelines.engine.tree import Entry, Tree

__all__ = ["FIELDS", "Directory", "exists_as", "inside", "refuse"]

_KINDS = {"DIRECTORY_TYPE": "dir", "REGULAR_TYPE": "file", "SYMLINK_TYPE": "link"}


@dataclass(frozen=True, slots=True)
class Directory:
    """The directory at `path` ("" is all) of what `base` gives."""

    TYPE: ClassVar[str] = "Directory"

    base: Edge
    path: str = ""

    @property
    def edge(self) -> Edge:
        """The edge that gives this directory as a whole."""
        return Edge(Select(self.base, self.path)) if self.path else self.base


def inside(path: str) -> str:
    """Spell a path relative to the directory it is in; a slash at the end stays.

    Raises:
        PathError: it leaves the directory.
    """
    clean = "/".join(treepath.clean(path))
    return clean + "/" if clean and path.endswith("/") else clean


def _below(directory: Directory, path: str) -> str:
    """Join a path to where the directory is; it can not leave the directory."""
    clean = inside(path).rstrip("/")
    return f"{directory.path}/{clean}".strip("/")


def _made(op: Op) -> Directory:
    return Directory(Edge(op))


# --- chain -------------------------------------------------------------------------------


def directory(_session: Session, it: Directory, *, path: str) -> Directory:
    """Look at a directory below."""
    return Directory(it.base, _below(it, path))


def file(_session: Session, it: Directory, *, path: str) -> File:
    """Look at a file below.

    Raises:
        PathError: the path names the directory itself.
    """
    if not inside(path):
        raise PathError(f"path {path!r} is a directory, not a file")
    return File(it.base, _below(it, path))


def with_directory(
    _session: Session,
    it: Directory,
    *,
    path: str,
    source: Directory,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gitignore: bool,
    owner: str,
    permissions: int | None,
) -> Directory:
    """Copy a directory in."""
    at = inside(path).rstrip("/")
    copy = Copy(it.edge, source.edge, at, include, exclude, gitignore, owner, permissions)
    return _made(copy)


def with_file(
    _session: Session,
    it: Directory,
    *,
    path: str,
    source: File,
    permissions: int | None,
    owner: str,
) -> Directory:
    """Copy a file in."""
    copy = Copy(it.edge, source.edge, inside(path), owner=owner, mode=permissions, as_file=True)
    return _made(copy)


def with_files(
    session: Session,
    it: Directory,
    *,
    path: str,
    sources: tuple[File, ...],
    permissions: int | None,
) -> Directory:
    """Copy files into a directory."""
    for source in sources:
        it = with_file(
            session, it, path=path + "/", source=source, permissions=permissions, owner=""
        )
    return it


def with_new_file(
    _session: Session, it: Directory, *, path: str, contents: str, permissions: int
) -> Directory:
    """Write a file."""
    return _made(Write(it.edge, inside(path), contents.encode(), permissions))


def with_new_directory(
    _session: Session, it: Directory, *, path: str, permissions: int
) -> Directory:
    """Make a directory."""
    return _made(MakeDir(it.edge, inside(path), permissions))


def with_symlink(_session: Session, it: Directory, *, target: str, link_name: str) -> Directory:
    """Make a symbolic link."""
    return _made(Link(it.edge, inside(link_name), target))


def without_directory(_session: Session, it: Directory, *, path: str) -> Directory:
    """Remove a directory."""
    return _made(Remove(it.edge, (inside(path),), "dir"))


def without_file(_session: Session, it: Directory, *, path: str) -> Directory:
    """Remove a file."""
    return _made(Remove(it.edge, (inside(path),), "file"))


def without_files(_session: Session, it: Directory, *, paths: tuple[str, ...]) -> Directory:
    """Remove files."""
    return _made(Remove(it.edge, tuple(inside(path) for path in paths), "file"))


def filter_(
    _session: Session,
    it: Directory,
    *,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gitignore: bool,
) -> Directory:
    """Keep what matches."""
    if not (exclude or include or gitignore):
        return it
    return _made(Filter(it.edge, include, exclude, gitignore))


def diff(_session: Session, it: Directory, *, other: Directory) -> Directory:
    """Keep what `other` has and this one has not, or has otherwise."""
    return _made(Diff(it.edge, other.edge))


def chown(_session: Session, it: Directory, *, path: str, owner: str) -> Directory:
    """Change owners below a path."""
    return _made(Chown(it.edge, inside(path), owned("Directory.chown", owner)))


def with_timestamps(_session: Session, it: Directory, *, timestamp: int) -> Directory:
    """Pin modification times."""
    return _made(Touch(it.edge, timestamp))


def refuse(_session: Session, it: object, *, err: str) -> object:
    """Fail with a message of the caller's; an empty one is none."""
    if err:
        raise EngineError(err)
    return it


# --- leaves ------------------------------------------------------------------------------


async def entries(session: Session, it: Directory, *, path: str | None) -> tuple[str, ...]:
    """List names; directories end with "/"."""
    return tuple(treeops.entries(await session.engine.tree(it.edge), path or ""))


async def glob(session: Session, it: Directory, *, pattern: str) -> tuple[str, ...]:
    """List what a pattern matches."""
    return tuple(treeops.match(await session.engine.tree(it.edge), pattern))


async def digest(session: Session, it: Directory) -> str:
    """Digest the contents."""
    return (await session.engine.tree(it.edge)).digest


async def export(session: Session, it: Directory, *, path: str, wipe: bool) -> str:
    """Write the directory to the host."""
    return await session.engine.export_tree(await session.engine.tree(it.edge), path, wipe)


def name(_session: Session, it: Directory) -> str:
    """Give the directory's name, "/" for a root."""
    return it.path.rpartition("/")[2] or "/"


async def sync(session: Session, it: Directory) -> str:
    """Force the directory."""
    await session.engine.solve(it.edge.op)
    return session.objects.remember(it)


def exists_as(entry: Entry | None, expected_type: str | None) -> bool:
    """Tell whether an entry is there, and of the expected type if one is."""
    return entry is not None and (expected_type is None or entry.kind == _KINDS[expected_type])


def _follow(expected_type: str | None, do_not_follow_symlinks: bool) -> bool:
    """A link that is asked for is not followed."""
    return not do_not_follow_symlinks and expected_type != "SYMLINK_TYPE"


async def exists(
    session: Session,
    it: Directory,
    *,
    path: str,
    expected_type: str | None,
    do_not_follow_symlinks: bool,
) -> bool:
    """Tell whether a path exists."""
    tree = await session.engine.tree(it.edge)
    follow = _follow(expected_type, do_not_follow_symlinks)
    return exists_as(treepath.status(tree, path, follow=follow), expected_type)


async def stat(session: Session, it: Directory, *, path: str, do_not_follow_symlinks: bool) -> Stat:
    """Describe what is at a path."""
    tree = await session.engine.tree(it.edge)
    entry = treepath.status(tree, path, follow=not do_not_follow_symlinks)
    if entry is None:
        raise PathError(f"stat {path}: no such file or directory")
    return stat_of(path, entry)


async def find_up(session: Session, it: Directory, *, name: str, start: str) -> str | None:
    """Look for a name in a directory and all above it; None if it is nowhere."""
    tree = await session.engine.tree(it.edge)
    return nearest(tree, name, inside(start).rstrip("/"))


def nearest(tree: Tree, name: str, start: str) -> str | None:
    """Give the path of the nearest entry of a name, upwards from a directory."""
    at = start
    while True:
        candidate = f"{at}/{name}" if at else name
        if treepath.status(tree, candidate) is not None:
            return candidate
        if not at:
            return None
        at = at.rpartition("/")[0]


FIELDS: dict[str, Callable[..., Any]] = {
    "chown": chown,
    "diff": diff,
    "digest": digest,
    "directory": directory,
    "entries": entries,
    "exists": exists,
    "export": export,
    "file": file,
    "filter": filter_,
    "findUp": find_up,
    "glob": glob,
    "name": name,
    "stat": stat,
    "sync": sync,
    "withDirectory": with_directory,
    "withError": refuse,
    "withFile": with_file,
    "withFiles": with_files,
    "withNewDirectory": with_new_directory,
    "withNewFile": with_new_file,
    "withSymlink": with_symlink,
    "withTimestamps": with_timestamps,
    "withoutDirectory": without_directory,
    "withoutFile": without_file,
    "withoutFiles": without_files,
}
