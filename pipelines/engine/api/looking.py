"""Directory fields that force: what is in it, what it digests to, where it goes."""

from collections.abc import Callable
from typing import Any

from pipelines.engine.api.directory import Directory, below, inside
from pipelines.engine.api.file import stat_of
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import Stat
from pipelines.engine.errors import PathError
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree import ops as treeops
from pipelines.engine.tree import paths as treepath

__all__ = ["FIELDS", "exists_as", "follows", "nearest"]

_KINDS = {"DIRECTORY_TYPE": "dir", "REGULAR_TYPE": "file", "SYMLINK_TYPE": "link"}


async def entries(session: Session, it: Directory, *, path: str | None) -> tuple[str, ...]:
    """List names; directories end with "/"."""
    shown = Directory(it.base, below(it, path or ""))
    return tuple(treeops.entries(await session.engine.tree(shown.edge)))


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
    """Give the directory's name, with a slash at its end; "/" for a root."""
    return it.path.rpartition("/")[2] + "/"


async def sync(session: Session, it: Directory) -> str:
    """Force the directory."""
    await session.engine.solve(it.edge.op)
    return session.objects.remember(it)


def exists_as(entry: Entry | None, expected_type: str | None) -> bool:
    """Tell whether an entry is there, and of the expected type if one is."""
    return entry is not None and (expected_type is None or entry.kind == _KINDS[expected_type])


def follows(expected_type: str | None, do_not_follow_symlinks: bool) -> bool:
    """Tell whether to follow a link: not if told so, and not if a link is asked for."""
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
    follow = follows(expected_type, do_not_follow_symlinks)
    return exists_as(await session.engine.status(it.base, below(it, path), follow), expected_type)


async def stat(session: Session, it: Directory, *, path: str, do_not_follow_symlinks: bool) -> Stat:
    """Describe what is at a path."""
    follow = not do_not_follow_symlinks
    entry = await session.engine.status(it.base, below(it, path), follow)
    if entry is None:
        raise PathError(f"stat {path}: no such file or directory")
    return stat_of(path, entry)


async def find_up(session: Session, it: Directory, *, name: str, start: str) -> str | None:
    """Look for a name in a directory and all above it; None if it is nowhere."""
    tree = await session.engine.tree(it.edge)
    found = nearest(tree, name, inside(start))
    return f"/{found}" if found is not None and start.startswith("/") else found


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
    "digest": digest,
    "entries": entries,
    "exists": exists,
    "export": export,
    "findUp": find_up,
    "glob": glob,
    "name": name,
    "stat": stat,
    "sync": sync,
}
