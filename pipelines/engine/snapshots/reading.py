"""Directories of a root filesystem as trees: for results, without mounting where possible.

A stack is read layer by layer as overlayfs would merge it (`stack`), and what its files hold
was digested when the layers were committed: their `rows` say it, so no bytes are read.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.engine.errors import PathError
from pipelines.engine.snapshots import inroot
from pipelines.engine.snapshots.layer import MTIME, hash_file, row_content
from pipelines.engine.snapshots.rows import parsed
from pipelines.engine.snapshots.stack import Branch, Found, Level, children, level_of, locate
from pipelines.engine.tree import Entry, Kind, Tree

__all__ = ["Hashes", "scan_stack", "scan_tree", "stack_file"]

Adopt = Callable[[Path, Entry], None]

_KINDS: dict[int, Kind] = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


class Hashes:
    """What the files of layers hold, by layer and path; one per session, shared by threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._layers: dict[str, _Told] = {}
        self._inodes: dict[tuple[int, int, int], str] = {}

    def of(self, found: Found) -> str:
        """Give the hex sha-256 of a file: from its layer's rows, else by reading it."""
        layer = found.branch.layer
        if layer and (known := self._told(layer).contents.get(found.rel)):
            return known
        key = (found.stat.st_dev, found.stat.st_ino, found.stat.st_ctime_ns)
        if not layer or key not in self._inodes:
            self._inodes[key] = hash_file(found.path, found.stat.st_size)
        return self._inodes[key]

    def pinned(self, found: Found) -> int | None:
        """Give the time that somebody pinned, before it came into the layer."""
        layer = found.branch.layer
        return self._told(layer).pinned.get(found.rel) if layer else None

    def _told(self, layer: str) -> "_Told":
        if layer not in self._layers:
            self._layers[layer] = _read(self._root / layer / "rows")
        return self._layers[layer]


def scan_stack(
    root: Path,
    layers: Sequence[str],
    path: str,
    adopt: Adopt | None = None,
    hashes: Hashes | None = None,
) -> Tree:
    """Read a directory (or one file) of a stack, where `root` holds the layers.

    `adopt` is called for every file with its place in a layer, which is never written to, so
    that the store may link it. The result's paths are relative to the directory; a file gives
    a single entry under its own name. Links are followed on the way to `path`, not below it.

    Raises:
        PathError: nothing is there, or it is neither a file nor a directory.
        ContentMissing: a layer is gone.
    """
    found = locate(level_of(root, layers), path)
    known = Hashes(root) if hashes is None else hashes
    return _tree(found, path, adopt, known.of, known.pinned)


def stack_file(root: Path, layers: Sequence[str], path: str) -> Path:
    """Where the regular file that a stack shows at a path really is; only to be read.

    Raises:
        PathError: nothing is there, or it is not a regular file.
        ContentMissing: a layer is gone.
    """
    found = locate(level_of(root, layers), path)
    if not stat.S_ISREG(found.stat.st_mode):
        raise PathError(f"{path}: is not a regular file in the snapshot")
    return Path(found.path)


def scan_tree(root: Path, path: str, adopt: Adopt | None = None) -> Tree:
    """Read a directory (or one file) inside a root that is mounted; else as `scan_stack`.

    Raises:
        PathError: nothing is there, or it is neither a file nor a directory.
    """
    place = inroot.resolve(root, path)
    real = f"{root}{place}".rstrip("/")
    status = os.lstat(real)
    level: Level = (Branch(real),) if stat.S_ISDIR(status.st_mode) else ()
    found = Found(place.strip("/"), Branch(real), status, level)
    return _tree(found, path, adopt, lambda file: hash_file(file.path, file.stat.st_size))


def _tree(
    found: Found,
    path: str,
    adopt: Adopt | None,
    content: Callable[[Found], str],
    pinned: Callable[[Found], int | None] = lambda _found: None,
) -> Tree:
    """Turn what was found into a tree."""
    entries: dict[str, Entry] = {}
    if not stat.S_ISDIR(found.stat.st_mode):
        if not stat.S_ISREG(found.stat.st_mode):
            raise PathError(f"{path}: is neither a file nor a directory")
        _put(entries, os.path.basename(found.rel), found, adopt, content, pinned(found))
        return Tree(entries)
    below = len(found.rel) + 1 if found.rel else 0
    todo = [found]
    while todo:
        at = todo.pop()
        for child in children(at.level, at.rel).values():
            _put(entries, child.rel[below:], child, adopt, content, pinned(child))
            if child.level:
                todo.append(child)
    return Tree(entries)


def _put(  # noqa: PLR0917 - called once for every file there is
    entries: dict[str, Entry],
    name: str,
    found: Found,
    adopt: Adopt | None,
    content: Callable[[Found], str],
    mtime: int | None,
) -> None:
    """Add one entry; sockets, fifos and devices are not content."""
    status = found.stat
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    if kind == "dir":
        entries[name] = Entry("dir", mode, uid=uid, gid=gid, mtime=mtime)
    elif kind == "link":
        target = os.readlink(found.path)
        entries[name] = Entry("link", 0o777, target=target, uid=uid, gid=gid, mtime=mtime)
    elif kind == "file":
        entry = Entry("file", mode, status.st_size, content(found), "", uid, gid, mtime)
        entries[name] = entry
        if adopt is not None:
            adopt(Path(found.path), entry)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a layer's rows tell by path: hex hashes of files, and pinned times."""

    contents: Mapping[str, str] = field(default_factory=dict)
    pinned: Mapping[str, int] = field(default_factory=dict)


def _read(rows: Path) -> _Told:
    """Read a layer's rows; nothing if they are gone, then files are read."""
    try:
        found = parsed(rows.read_text())
    except FileNotFoundError:
        return _Told()
    extras = ((str(row[0]), row[-1]) for row in found if isinstance(row[-1], dict))
    return _Told(
        {str(row[0]): row_content(row) for row in found if row[1] == "f"},
        {path: int(extra[MTIME]) for path, extra in extras if MTIME in extra},
    )
