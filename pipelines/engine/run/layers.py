"""What a layer's tar holds: the items of a snapshot's layer, or of a tree.

A layer has no times of its own: its id knows none, or a rebuild would never meet what was
built before. So all that is written gets one time, `SOURCE_DATE_EPOCH`, or 0 without it; what
`withTimestamps` pinned keeps its own, but nothing is newer than `SOURCE_DATE_EPOCH`.

Sockets are never in a layer, devices are left out: the sandbox has its own, and an ordinary
user can not make them.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pipelines.engine.images.pack import OPAQUE, Item, whiteout
from pipelines.engine.images.tarread import Member, MemberKind
from pipelines.engine.snapshots.rows import LayerRow, read_rows
from pipelines.engine.tree import Entry, Tree

__all__ = ["layer_items", "tree_items"]

_KINDS: dict[str, MemberKind] = {
    "d": "dir",
    "o": "dir",
    "dir": "dir",
    "f": "file",
    "file": "file",
    "l": "symlink",
    "link": "symlink",
    "p": "fifo",
}
_SECOND = 1_000_000_000
_LINK_MODE = 0o777


def layer_items(root: Path, layer: str, epoch: int | None) -> Iterator[Item]:
    """Yield what is in a snapshot's layer below `root`.

    Raises:
        ContentMissing: the layer is gone.
    """
    top = os.fsencode(f"{root}/{layer}/fs/")
    for row in read_rows(root, layer):
        name = os.fsencode(row.path)  # "." is the root
        if row.letter == "w":
            yield whiteout(name)
        elif row.letter in _KINDS:
            yield Item(_member(row, name, epoch), path=top + name if row.size else b"")
            if row.letter == "o":
                yield whiteout(name + b"/" + OPAQUE)


def _member(row: LayerRow, name: bytes, epoch: int | None) -> Member:
    kind = "hardlink" if row.link else _KINDS[row.letter]
    target = row.link or (row.text if kind == "symlink" else "")
    return Member(
        name=name + b"/" if kind == "dir" else name,
        kind=kind,
        mode=_LINK_MODE if kind == "symlink" else row.mode,
        uid=row.uid,
        gid=row.gid,
        size=row.size if kind == "file" else 0,
        mtime=_time(row.mtime, epoch),
        target=os.fsencode(target),
        xattrs=dict(row.attributes or {}) if kind != "hardlink" else {},
    )


def tree_items(
    tree: Tree, opened: Callable[[Entry], BinaryIO], epoch: int | None, *, owners: bool = True
) -> Iterator[Item]:
    """Yield what is in a tree; with `owners` False everything is root's."""
    for path, entry in tree.items():
        kind, name = _KINDS[entry.kind], os.fsencode(path)
        member = Member(
            name=name + b"/" if kind == "dir" else name,
            kind=kind,
            mode=_LINK_MODE if kind == "symlink" else entry.mode,
            uid=entry.uid if owners else 0,
            gid=entry.gid if owners else 0,
            size=entry.size if kind == "file" else 0,
            mtime=_time(entry.mtime, epoch),
            target=os.fsencode(entry.target),
        )
        yield Item(member, partial(opened, entry) if member.size else None)


def _time(pinned: int | None, epoch: int | None) -> int:
    """Choose an entry's time, in nanoseconds."""
    if pinned is None:
        return (epoch or 0) * _SECOND
    return max(0, pinned if epoch is None else min(pinned, epoch)) * _SECOND
