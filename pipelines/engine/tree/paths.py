"""Paths inside a tree, resolved as the kernel would with the tree as "/".

Paths of callers may be absolute or relative, with "." and ".."; a path that leaves the root is
an error. A symbolic link on the way is looked up inside the tree, and its ".." stop at the
root. Whether the last part is followed too is up to each operation.
"""

from typing import Protocol

from pipelines.engine.errors import PathError
from pipelines.engine.tree import DIRECTORY, Entry

__all__ = ["Shown", "clean", "landing", "resolve", "status"]

_MAX_LINKS = 40  # as Linux, path_resolution(7)


class Shown(Protocol):
    """What shows entries at paths: a tree, or a snapshot's layers."""

    def get(self, path: str, /) -> Entry | None:
        """Give the entry at a normalised path."""
        ...


def clean(path: str) -> list[str]:
    """Split a path into its parts, keeping "..".

    Raises:
        PathError: the path leaves the root.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            raise PathError(f"path {path!r} leaves the directory: it has too many '..'")
    return parts


def resolve(tree: Shown, path: str, *, follow: bool = True) -> str:
    """Give the path without links and dots; what is missing at its end stays as it is.

    Raises:
        PathError: the path leaves the root, goes through a file, or its links are a loop.
    """
    todo, at, hops = clean(path)[::-1], "", 0
    while todo:
        part = todo.pop()
        if part == "..":
            at = at.rpartition("/")[0]
            continue
        here = f"{at}/{part}" if at else part
        entry = tree.get(here)
        if entry is not None and entry.kind == "link" and (follow or todo):
            hops += 1
            if hops > _MAX_LINKS:
                raise PathError(f"stat {path}: too many levels of symbolic links")
            at = "" if entry.target.startswith("/") else at
            todo += [p for p in entry.target.split("/")[::-1] if p not in ("", ".")]
            continue
        if entry is not None and entry.kind == "file" and todo:
            raise PathError(f"stat {path}: {here} is a file, not a directory")
        at = here
    return at


def status(tree: Shown, path: str, *, follow: bool = True) -> Entry | None:
    """Look a path up; the root is a directory, what is missing is None."""
    try:
        at = resolve(tree, path, follow=follow)
    except PathError:
        return None
    return tree.get(at) if at else DIRECTORY


def landing(tree: Shown, path: str, name: str) -> str:
    """Say where a file of a name goes that is put at a path: below it if that is a directory."""
    entry = DIRECTORY if path.endswith("/") else status(tree, path)
    return f"{path}/{name}" if entry is not None and entry.kind == "dir" else path
