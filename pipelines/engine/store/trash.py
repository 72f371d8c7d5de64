"""Delete in two steps: out of sight by one rename, unlinked when there is time.

Unlinking many files right before a build makes the build's file creations several times
slower on ext4 (measured: 4 to 6 times), so only session ends and `prune` empty the trash.
"""

import os
import secrets
import stat
from pathlib import Path

from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.layout import Layout

__all__ = ["discard", "empty", "remove_tree"]


def discard(layout: Layout, path: Path) -> bool:
    """Take a file or directory of the store out of sight; False if it is not there."""
    crashpoint("trash.before-rename")
    try:
        _rename(path, layout.trash / secrets.token_hex(12))
    except FileNotFoundError:
        return False
    crashpoint("trash.renamed")
    return True


def _rename(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except PermissionError:
        # Moving a directory rewrites its "..": it has to be writable for us.
        path.chmod(0o700)
        path.rename(target)


def empty(layout: Layout) -> int:
    """Unlink what is in the trash; give how many things were in it."""
    found = os.listdir(layout.trash)
    for name in found:
        remove_tree(layout.trash / name)
    return len(found)


def remove_tree(path: Path) -> None:
    """Remove a file or a directory with all below it, whatever its modes; gone is fine.

    Never follows a symbolic link and needs no path longer than the kernel takes.
    """
    name, above = path.name, os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove(name, above)
    finally:
        os.close(above)


def _remove(name: str, above: int) -> None:
    try:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=above).st_mode):
            os.unlink(name, dir_fd=above)
            return
        fd = _open(name, above)
    except FileNotFoundError:
        return
    try:
        _clear(fd)
    finally:
        os.close(fd)
    try:
        os.rmdir(name, dir_fd=above)
    except FileNotFoundError:
        return


def _open(name: str, above: int) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=above)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=above)
        fd = os.open(name, flags, dir_fd=above)
    if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(fd, 0o700)
    return fd


def _clear(fd: int) -> None:
    for item in list(os.scandir(fd)):
        if item.is_dir(follow_symlinks=False):
            _remove(item.name, fd)
            continue
        try:
            os.unlink(item.name, dir_fd=fd)
        except FileNotFoundError:
            continue
