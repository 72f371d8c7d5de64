"""From a written directory to a layer: find the changes, drop the rest, name what is left.

Theory of operation
    `Scan` walks what was written (the *upper*) beside the stack that it was written on, and
    edits the upper in place until it holds the difference of the two and nothing else. The
    difference is canonical, a function of the stack's content and the new content alone, so
    that every way to the same change gives the same layer, on overlay or on copies:

    - a file that is equal to the one below (kind, mode, owner, attributes, content) goes;
      a directory goes when it is equal to the one below and nothing in it stays;
    - a whiteout stays only where a layer shows something;
    - an opaque directory is opened: what it hid and did not bring back becomes whiteouts;
    - sockets go; fifos and devices stay as they are.

    In a *complete* directory a name that is absent was deleted: below an opaque directory, and
    everywhere in a copy. Elsewhere absent means untouched. Without a stack (`Snapshots.add`)
    the directory is the layer, as it is.

    Every row names what stays, with the directories above it; the layer's id is the sha-256 of
    the rows in path order. Directories above a change are rows because their metadata would
    show if the layer stood on another stack; alone they never make a layer.

    Several names of one file are content, too: all but the first in the order of bytes say which
    name they share. A layer that is put together from a tree (`linked` False) has no such names:
    the store links equal files for its own sake. What a tree pins, modification times, is in
    its rows, because nothing else would tell two such layers apart (`rows`).

    The ground decides what is equal, but it is not part of the stack: hiding it is no change.
"""

import hashlib
import json
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pipelines.engine.snapshots.stack import (
    OPAQUE,
    Found,
    Level,
    children,
    is_opaque,
    is_whiteout,
    lookup,
)

__all__ = ["LINK", "MTIME", "Row", "Scan", "attributes", "owner_of", "row_content"]

Row = list[str | int | dict[str, str]]

LINK, MTIME = "link", "mtime"

_BLOCK = 1 << 20
_PRIVATE = ("user.overlay.", "trusted.overlay.")
_KEPT = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
_ROOT = (0o755, 0, 0)
_LETTERS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}


def attributes(path: str) -> dict[str, str]:
    """Read the extended attributes of a file that are content: capabilities, ACLs, `user.*`."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # the filesystem has none
        return {}
    return {
        name: os.getxattr(path, name, follow_symlinks=False).hex()
        for name in names
        if name in _KEPT or (name.startswith("user.") and not name.startswith(_PRIVATE))
    }


def row_content(row: Row) -> str:
    """Give the hex sha-256 in the row of a file."""
    return str(row[5])


def owner_of(status: os.stat_result) -> tuple[int, int, int]:
    """Give what a directory is compared by: mode, user, group."""
    return (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


@dataclass(slots=True)
class Scan:
    """One walk over one upper; `rows`, `size` (bytes), `inodes` and `unmade` are what it found.

    `stack` is what the upper was written on, None to take the upper as it is. `untouched`
    maps the inode of a file to the change time that it had when it was equal to the stack;
    `skipped` are paths of the stack that a copy could not show: their absence says nothing.
    `known` are hashes of files, by path, that need not be read to be known; `pinned` are
    modification times by path. With `linked` False, names that share a file say nothing.
    """

    stack: Level | None
    complete: bool = False
    untouched: Mapping[int, int] = field(default_factory=dict)
    skipped: Collection[str] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    pinned: Mapping[str, int] = field(default_factory=dict)
    linked: bool = True
    rows: list[Row] = field(default_factory=list)
    size: int = 0
    inodes: int = 0
    unmade: list[str] = field(default_factory=list)
    _hashes: dict[int, str] = field(default_factory=dict)
    _names: dict[int, list[Row]] = field(default_factory=dict)
    _white: str = ""

    def run(self, upper: str) -> bool:
        """Walk the upper; tell whether anything is left of it."""
        level = self.stack or ()
        now = owner_of(os.lstat(upper))
        before = owner_of(os.lstat(level[0].path)) if level else _ROOT
        self.inodes += 1
        self._fill(upper, "", level, self.complete or (self.stack is not None and _open(upper)))
        if now != before or (self.rows and now != _ROOT):
            self.rows.append([".", "d", *now, ""])
        return bool(self.rows)

    def encode(self) -> bytes:
        """Give the rows as bytes, one JSON line each, in path order; their sha-256 is the id."""
        for rows in self._names.values():
            first, *others = sorted(rows, key=lambda row: os.fsencode(_path(row)))
            for row in others:
                _note(row, LINK, _path(first))
        self._names.clear()
        self.rows.sort(key=_path)
        return "\n".join(map(json.dumps, self.rows)).encode()

    def _fill(self, path: str, rel: str, level: Level, complete: bool) -> None:
        """Walk what is in a directory."""
        with os.scandir(path) as entries:
            found = list(entries)
        seen = {
            entry.name
            for entry in found
            if self._entry(entry, f"{rel}/{entry.name}" if rel else entry.name, level, complete)
        }
        if complete and level:
            for name, below in children(level, rel).items():
                shown = below.branch.layer and below.rel not in self.skipped
                if shown and name not in seen:
                    self._hide(f"{path}/{name}", below.rel)

    def _entry(self, entry: os.DirEntry[str], rel: str, level: Level, complete: bool) -> bool:
        """Judge one name; tell whether the new content has it."""
        status = entry.stat(follow_symlinks=False)
        below = lookup(level, rel.rpartition("/")[0], entry.name) if level else None
        if is_whiteout(status) or stat.S_ISSOCK(status.st_mode):
            self._absent(entry.path, rel, status, below, complete)
            return False
        if stat.S_ISDIR(status.st_mode):
            self._directory(entry.path, rel, status, below, complete)
        else:
            self._file(entry.path, rel, status, below)
        return True

    def _absent(
        self, path: str, rel: str, status: os.stat_result, below: Found | None, complete: bool
    ) -> None:
        """Judge a whiteout or a socket: nothing, a change where a layer shows something."""
        white = is_whiteout(status)
        wanted = not complete and below is not None and below.branch.layer != ""
        if white and (wanted or self.stack is None):
            self._white = self._white or path
            self.rows.append([rel, "w", 0, 0, 0, ""])
            return
        os.unlink(path)
        if wanted:
            self._hide(path, rel)

    def _hide(self, path: str, rel: str) -> None:
        """Put a whiteout; all of a layer share one inode where links are possible."""
        self.rows.append([rel, "w", 0, 0, 0, ""])
        try:
            if self._white:
                os.link(self._white, path, follow_symlinks=False)
                return
        except OSError:  # EMLINK, EPERM: make another
            self._white = ""
        try:
            os.mknod(path, stat.S_IFCHR, 0)
            self._white = path
            self.inodes += 1
        except PermissionError:  # Linux < 5.8 in a user namespace, or a seccomp filter
            self.unmade.append(rel)

    def _directory(
        self, path: str, rel: str, status: os.stat_result, below: Found | None, complete: bool
    ) -> None:
        """Walk a directory; it goes when nothing in it stays and it was the same below."""
        level = below.level if below else ()
        mark = len(self.rows)
        opaque = False
        if self.stack is None:
            opaque = is_opaque(path)
        elif _open(path):
            complete = True
        self._fill(path, rel, level, complete and bool(level))
        extra = attributes(path)
        if (
            len(self.rows) == mark
            and level
            and below is not None
            and owner_of(below.stat) == owner_of(status)
            and attributes(below.path) == extra
        ):
            os.rmdir(path)
            return
        self.inodes += 1
        self.size += status.st_blocks * 512
        self._row(rel, "o" if opaque else "d", status, "", extra)

    def _file(self, path: str, rel: str, status: os.stat_result, below: Found | None) -> None:
        """Anything but a directory: gone if equal to what is below, else a row."""
        letter = _LETTERS[stat.S_IFMT(status.st_mode)]
        extra = attributes(path) if letter == "f" else {}
        like = (
            below is not None
            and stat.S_IFMT(below.stat.st_mode) == stat.S_IFMT(status.st_mode)
            and owner_of(below.stat) == owner_of(status)
            and below.stat.st_rdev == status.st_rdev
        )
        if like and below is not None and (letter != "f" or attributes(below.path) == extra):
            same, text = self._compare(path, letter, status, below)
        else:
            same, text = False, self._text(path, letter, status, rel)
        if same:
            os.unlink(path)
            return
        if status.st_nlink == 1 or status.st_ino not in self._hashes:
            self.inodes += 1
            self.size += status.st_blocks * 512
        if letter == "f":
            self._hashes[status.st_ino] = text
        self._row(rel, letter, status, text, extra)

    def _row(
        self, rel: str, letter: str, status: os.stat_result, text: str, extra: dict[str, str]
    ) -> None:
        row: Row = [rel, letter, *owner_of(status), text]
        if letter == "f":
            row.append(status.st_size)
            if self.linked and status.st_nlink > 1:
                self._names.setdefault(status.st_ino, []).append(row)
        if extra:
            row.append(extra)
        if rel in self.pinned:
            _note(row, MTIME, str(self.pinned[rel]))
        self.rows.append(row)

    def _text(self, path: str, letter: str, status: os.stat_result, rel: str = "") -> str:
        """Tell what a file is: its hash, its target, its device number."""
        if letter == "f":
            known = self.known.get(rel) or self._hashes.get(status.st_ino)
            return known or hash_file(path, status.st_size)
        if letter == "l":
            return os.readlink(path)
        return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"

    def _compare(
        self, path: str, letter: str, status: os.stat_result, below: Found
    ) -> tuple[bool, str]:
        """Tell whether a file equals the one below, and what it is if not."""
        if letter != "f":
            text = self._text(path, letter, status)
            return text == self._text(below.path, letter, below.stat), text
        if self.untouched.get(status.st_ino) == status.st_ctime_ns:
            return True, ""
        if status.st_size != below.stat.st_size:
            return False, self._text(path, letter, status)
        return compare_files(path, below.path, status.st_size)


def _path(row: Row) -> str:
    return str(row[0])


def _note(row: Row, name: str, text: str) -> None:
    """Write one more thing into what a row ends with; no attribute has such a name."""
    extra = row[-1]
    if isinstance(extra, dict):
        row[-1] = extra | {name: text}
    else:
        row.append({name: text})


def _open(path: str) -> bool:
    """Take the opaque mark off a directory; tell whether it had one."""
    if not is_opaque(path):
        return False
    os.removexattr(path, OPAQUE, follow_symlinks=False)
    return True


def hash_file(path: str, size: int = _BLOCK) -> str:
    """Digest a file's bytes, one block in memory at a time; `size` is what to expect."""
    digest = hashlib.sha256()
    block = min(size + 1, _BLOCK)  # a whole block for a small file costs more than reading it
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while read := os.read(descriptor, block):
            digest.update(read)
            if len(read) < block:
                break
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def compare_files(path: str, below: str, size: int) -> tuple[bool, str]:
    """Tell whether two files of one size hold the same bytes, and the digest of the first."""
    digest = hashlib.sha256()
    same, block = True, min(size + 1, _BLOCK)
    with open(path, "rb", 0) as new, open(below, "rb", 0) as old:
        while read := new.read(block):
            digest.update(read)
            same = same and old.read(len(read)) == read
    return same, digest.hexdigest()
