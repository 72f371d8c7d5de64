"""Several layers as one directory on disk: by hard links to read, by copies to write.

`Flat` keeps deep stacks fast: overlayfs asks every layer for a name that is absent. Above
`DEEP` layers the lower ones are merged in groups of `GROUP`, each group on top of the one
before, so that a stack that grows by one layer at a time is merged once in `GROUP` times.
Merged groups live below `active` with their process: they hold links, so they cost
directories only, and a layer that is removed meanwhile does not hurt them.
"""

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pipelines.engine.snapshots.layer import attributes
from pipelines.engine.snapshots.shelf import Shelf, clear
from pipelines.engine.snapshots.stack import (
    OPAQUE,
    Branch,
    Found,
    Level,
    children,
    is_opaque,
    level_of,
)

__all__ = ["DEEP", "GROUP", "Flat", "Merge", "copy_attributes", "copy_file", "dress", "link_file"]

DEEP = 25
GROUP = 16
_CHUNK = 1 << 30
_FICLONE = 0x40049409


class Flat:
    """The levels to mount for stacks, with the deep ones merged."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()

    def level(self, layers: Sequence[str], ground: Path | None) -> Level:
        """Give the parts of a stack, at most `DEEP` and the ground.

        Raises:
            ContentMissing: a layer is gone.
        """
        level = level_of(self._shelf.root, layers, ground)
        unmade = any(branch.unmade for branch in level)
        if len(layers) <= DEEP and not unmade:
            return level
        cut = len(layers) if unmade else (len(layers) - 1) // GROUP * GROUP
        with self._lock:
            merged = self._merged(layers[:cut])
        above = level_of(self._shelf.root, layers[cut:])
        if above and is_opaque(above[-1].path):
            return above
        bottom = () if ground is None else (Branch(str(ground)),)
        return (*above, Branch(merged, "merged"), *bottom)

    def _merged(self, layers: Sequence[str]) -> str:
        """Merge layers into one directory, from the bottom, a group at a time; keep it."""
        name = sha256(" ".join(layers).encode()).hexdigest()
        path = f"{self._shelf.active}/flat-{name}"
        if os.path.isdir(path):
            return path
        first = (len(layers) - 1) // GROUP * GROUP
        level = level_of(self._shelf.root, layers[first:])
        if first and not (level and is_opaque(level[-1].path)):
            level = (*level, Branch(self._merged(layers[:first]), "merged"))
        home = f"{self._shelf.active}/{self._shelf.place()}"
        Merge(whiteouts=True, put=link_file).run(level, f"{home}/fs")
        os.rename(f"{home}/fs", path)
        clear(home)
        return path


def dress(path: str, level: Level) -> None:
    """Make the root directory of something new look as the stack's does."""
    os.mkdir(path)
    mode, uid, gid = 0o755, 0, 0
    if level:
        status = os.stat(level[0].path)
        mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    if (uid, gid) != (os.geteuid(), os.getegid()):
        os.chown(path, uid, gid)
    os.chmod(path, mode)
    date(path, level)


def date(path: str, level: Level) -> None:
    """Give a root directory the time that the stack's has."""
    if level:
        status = os.stat(level[0].path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def link_file(found: Found, target: str) -> None:
    """Show a layer's file by a hard link; by a copy where the link count is at its limit."""
    try:
        os.link(found.path, target, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in {errno.EMLINK, errno.EPERM, errno.EXDEV}:
            raise
        copy_file(found, target)


def copy_file(found: Found, target: str) -> bool:
    """Copy a file with owner, mode, attributes and times; tell whether that was possible."""
    status = found.stat
    if stat.S_ISREG(status.st_mode):
        _copy_bytes(found.path, target, status.st_size)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(found.path), target)
    else:
        try:
            os.mknod(target, status.st_mode, status.st_rdev)
        except PermissionError:  # devices can not be made in a user namespace
            return False
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))
        copy_attributes(found.path, target)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
    return True


def copy_attributes(source: str, target: str) -> None:
    """Give a file the extended attributes of another that are content."""
    for name, value in attributes(source).items():
        os.setxattr(target, name, bytes.fromhex(value), follow_symlinks=False)


def _copy_bytes(source: str, target: str, size: int) -> None:
    """Share the blocks where the filesystem can, else copy inside the kernel."""
    old = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if size and not _clone(old, new):
                while os.copy_file_range(old, new, _CHUNK):
                    pass
        finally:
            os.close(new)
    finally:
        os.close(old)


def _clone(old: int, new: int) -> bool:
    try:
        fcntl.ioctl(new, _FICLONE, old)
    except OSError:  # not a filesystem that shares blocks
        return False
    return True


@dataclass(frozen=True, slots=True)
class Merge:
    """Write what a level shows into a new directory, each file by `put`.

    With `whiteouts` the result is itself a layer, to stand on others. Links between files
    are not carried over by copies: overlayfs too parts them at the first write.
    """

    put: Callable[[Found, str], object]
    whiteouts: bool = False

    def run(self, level: Level, target: str) -> None:
        """Make `target` and fill it."""
        dress(target, level)
        self._fill(level, "", target)
        date(target, level)

    def _fill(self, level: Level, rel: str, target: str) -> None:
        for name, found in children(level, rel, whiteouts=self.whiteouts).items():
            path = f"{target}/{name}"
            if found.level:
                dress(path, found.level)
                copy_attributes(found.path, path)
                self._fill(found.level, found.rel, path)
                os.utime(path, ns=(found.stat.st_atime_ns, found.stat.st_mtime_ns))
            else:
                self.put(found, path)
        if self.whiteouts and level and is_opaque(level[-1].path):
            os.setxattr(target, OPAQUE, b"y")
