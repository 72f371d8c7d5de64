"""Ops on trees and snapshots.

Where `base` gives a tree the result is a tree; where it gives a snapshot, the result is a
snapshot with one more layer. `owner` is "uid[:gid]" or names looked up in the base's
/etc/passwd and /etc/group; "" keeps what the source has.
"""

from dataclasses import dataclass
from typing import ClassVar

from pipelines.engine.op.base import Edge, Op

__all__ = [
    "Apply",
    "Chown",
    "Copy",
    "Diff",
    "Empty",
    "Filter",
    "Link",
    "MakeDir",
    "Merge",
    "Patch",
    "Remove",
    "Rename",
    "Replace",
    "Scratch",
    "Select",
    "Touch",
    "Write",
    "WritePatch",
]


@dataclass(frozen=True, slots=True, eq=False)
class Empty(Op):
    """An empty directory: gives a tree."""

    recorded: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, eq=False)
class Scratch(Op):
    """An empty root filesystem: gives a snapshot without layers."""

    recorded: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, eq=False)
class Write(Op):
    """Write a new file."""

    base: Edge
    path: str
    contents: bytes
    mode: int = 0o644
    owner: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MakeDir(Op):
    """Make a directory and its parents."""

    base: Edge
    path: str
    mode: int = 0o755
    owner: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Link(Op):
    """Make a symbolic link."""

    base: Edge
    path: str
    target: str
    owner: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Copy(Op):
    """Copy a tree into a directory of the base, or one file to a path.

    With `as_file`, `source` is a single-file tree and `path` the file's new path, or the
    directory to put it in if it ends with "/".
    """

    base: Edge
    source: Edge
    path: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = False
    owner: str = ""
    mode: int | None = None
    as_file: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Remove(Op):
    """Remove paths (patterns allowed), files and directories alike."""

    base: Edge
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Select(Op):
    """Take a directory or a file out of a tree or snapshot: gives a tree.

    With `kind` "any" the tree has one name at its top: the file, or a directory.
    """

    base: Edge
    path: str
    kind: str = "dir"


@dataclass(frozen=True, slots=True, eq=False)
class Filter(Op):
    """Keep what matches."""

    recorded: ClassVar[bool] = False

    base: Edge
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Diff(Op):
    """Keep what is new or changed in `upper` against `lower`."""

    recorded: ClassVar[bool] = False

    lower: Edge
    upper: Edge


@dataclass(frozen=True, slots=True, eq=False)
class Chown(Op):
    """Change owners below a path (a file tree: of the file)."""

    recorded: ClassVar[bool] = False

    base: Edge
    path: str
    owner: str


@dataclass(frozen=True, slots=True, eq=False)
class Touch(Op):
    """Pin every modification time; `timestamp` is seconds since the epoch."""

    recorded: ClassVar[bool] = False

    base: Edge
    timestamp: int


@dataclass(frozen=True, slots=True, eq=False)
class Rename(Op):
    """Rename a file tree's file."""

    recorded: ClassVar[bool] = False

    base: Edge
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Replace(Op):
    """Replace text in a file tree's file."""

    base: Edge
    search: str
    replacement: str
    every: bool = False
    first_from: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Apply(Op):
    """Do to the base what was done between two trees."""

    base: Edge
    lower: Edge
    upper: Edge


@dataclass(frozen=True, slots=True, eq=False)
class Merge(Op):
    """Do to a tree what was done between several pairs of trees; `conflict` says how they merge."""

    base: Edge
    lowers: tuple[Edge, ...]
    uppers: tuple[Edge, ...]
    conflict: str


@dataclass(frozen=True, slots=True, eq=False)
class Patch(Op):
    """Apply a patch, a file tree, as `git apply` does."""

    base: Edge
    patch: Edge


@dataclass(frozen=True, slots=True, eq=False)
class WritePatch(Op):
    """Write what changed between two trees as a patch of git's: gives a file tree."""

    lower: Edge
    upper: Edge
