"""Stacks of layers read as one directory, without mounting them.

Theory of operation
    A `Level` is the list of real directories that merge into one directory of the stack,
    topmost first. Going down to a child keeps, from the top, the directories of that name
    until something ends the search: a whiteout, anything that is not a directory, or a
    directory that is opaque. These are overlayfs's own rules (Documentation/filesystems/
    overlayfs.rst, "Merging of directories"), so that what is read here is what a mount shows.

    Where the kernel refuses to make whiteouts, their paths stand in a file beside the
    layer (`unmade`); here they count as if they were there.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import ContentMissing, PathError

__all__ = ["OPAQUE", "Branch", "Found", "Level", "is_opaque", "is_whiteout", "level_of", "locate"]

OPAQUE = "user.overlay.opaque"
_LINKS = 40


@dataclass(frozen=True, slots=True)
class Branch:
    """One layer's part of a merged directory; `layer` is "" for the ground."""

    path: str
    layer: str = ""
    unmade: frozenset[str] = frozenset()


Level = tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a stack shows at `rel`: the real file, its status, and for a directory its level."""

    rel: str
    branch: Branch
    stat: os.stat_result
    level: Level = ()

    @property
    def path(self) -> str:
        """The real file."""
        return self.branch.path

    @property
    def hidden(self) -> bool:
        """Whether this is a whiteout (only `children(whiteouts=True)` gives them)."""
        return is_whiteout(self.stat)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether a file is a whiteout: the character device 0:0."""
    return status.st_rdev == 0 and stat.S_ISCHR(status.st_mode)


def is_opaque(path: str) -> bool:
    """Whether a directory of a layer hides everything below it in lower layers."""
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:  # ENODATA, or a filesystem without such attributes
        return False


def level_of(root: Path, layers: Sequence[str], ground: Path | None = None) -> Level:
    """Give the root directory of a stack, as its parts.

    Raises:
        ContentMissing: a layer is gone.
    """
    parts = []
    for layer in reversed(layers):
        home = f"{root}/{layer}"
        if not os.path.isdir(home):
            raise ContentMissing(f"layer {layer} is not in {root}")
        parts.append(Branch(home + "/fs", layer, _unmade(home)))
        if is_opaque(home + "/fs"):
            return tuple(parts)
    if ground is not None:
        parts.append(Branch(str(ground)))
    return tuple(parts)


def _unmade(home: str) -> frozenset[str]:
    try:
        with open(home + "/unmade", encoding="utf-8", errors="surrogateescape") as lines:
            return frozenset(lines.read().split("\0"))
    except FileNotFoundError:
        return frozenset()


def lookup(level: Level, parent: str, name: str) -> Found | None:
    """Find what a merged directory shows under a name."""
    rel = f"{parent}/{name}" if parent else name
    top: tuple[Branch, os.stat_result] | None = None
    below: list[Branch] = []
    for branch in level:
        path = f"{branch.path}/{name}"
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            if rel in branch.unmade:
                break
            continue
        if not stat.S_ISDIR(status.st_mode):
            if top is None and not is_whiteout(status):
                return Found(rel, Branch(path, branch.layer), status)
            break
        here = Branch(path, branch.layer, branch.unmade)
        top = top or (here, status)
        below.append(here)
        if is_opaque(path):
            break
    return Found(rel, top[0], top[1], tuple(below)) if top else None


def children(level: Level, parent: str, *, whiteouts: bool = False) -> dict[str, Found]:
    """Everything that a merged directory shows, by name in no order.

    With `whiteouts`, names that end in a whiteout stand there too, as `Found.hidden`.
    """
    names: dict[str, tuple[Branch, os.DirEntry[str]]] = {}
    for branch in level:
        with os.scandir(branch.path) as entries:
            for entry in entries:
                names.setdefault(entry.name, (branch, entry))
    shown: dict[str, Found] = {}
    for name, (branch, entry) in names.items():
        found = _child(level, f"{parent}/{name}" if parent else name, branch, entry, whiteouts)
        if found is not None:
            shown[name] = found
    return shown


def _child(
    level: Level, rel: str, branch: Branch, entry: os.DirEntry[str], whiteouts: bool
) -> Found | None:
    """Find a child from its topmost appearance; only directories need a look below."""
    if entry.is_dir(follow_symlinks=False) or any(rel in b.unmade for b in level):
        return lookup(level, rel.rpartition("/")[0], entry.name)
    status = entry.stat(follow_symlinks=False)
    if is_whiteout(status) and not whiteouts:
        return None
    return Found(rel, Branch(entry.path, branch.layer), status)


def locate(level: Level, path: str) -> Found:
    """Find a path in a stack, following links inside it.

    The root itself is found as `Found` with rel "" and the whole level.

    Raises:
        PathError: nothing is there, or the links do not end.
    """
    at = [_root(level)]
    todo = [part for part in reversed(path.split("/")) if part not in {"", "."}]
    links = 0
    while todo:
        name = todo.pop()
        if name == "..":
            at = at[:-1] or at
            continue
        try:
            found = lookup(at[-1].level, at[-1].rel, name)
        except (OSError, ValueError) as exc:  # a name that is too long, or holds a null
            raise PathError(f"{path!r}: {exc}") from exc
        if found is None:
            raise PathError(f"{path}: no such file or directory in the snapshot")
        if stat.S_ISLNK(found.stat.st_mode):
            links += 1
            if links > _LINKS:
                raise PathError(f"{path}: too many levels of symbolic links in the snapshot")
            target = os.readlink(found.path)
            at = at[:1] if target.startswith("/") else at
            todo += [part for part in reversed(target.split("/")) if part not in {"", "."}]
            continue
        at.append(found)
    return at[-1]


def _root(level: Level) -> Found:
    if not level:
        status = os.stat_result((stat.S_IFDIR | 0o755, 0, 0, 1, 0, 0, 0, 0, 0, 0))
        return Found("", Branch(""), status)
    return Found("", level[0], os.lstat(level[0].path), level)
