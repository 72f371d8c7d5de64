"""Paths inside a root filesystem that somebody else wrote.

An image may hold a link `/etc -> ../../../etc` or `/proc -> /`; joined to the root with `/` it
would name a file of the host. Here every path goes through openat2(2) with RESOLVE_IN_ROOT:
absolute links, `..` and races stay inside the root, links of /proc lead nowhere, and links that
do not end are an error. What is missing is made one name at a time below an open directory.

Source: openat2(2); every container engine had a CVE in this place.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.engine.errors import PathError
from pipelines.engine.snapshots import kernel
from pipelines.engine.snapshots.shelf import storing

__all__ = [
    "Made",
    "Stub",
    "exists",
    "mkdirs",
    "open_file",
    "readlink",
    "resolve",
    "status",
    "stub",
    "unstub",
]

_RESOLVE = 0x10 | 0x02  # RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_LINKS = 40
_TRIES = 16
_WHY = {
    errno.ELOOP: "too many levels of symbolic links",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.ENOENT: "no such file or directory",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A file or directory that was made as a mount point, and which one it is."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Stub:
    """A mount point: its link-free path inside the root, and what had to be made for it."""

    path: str
    made: tuple[Made, ...] = ()


def resolve(root: Path, path: str) -> str:
    """Give the link-free absolute path, inside the root, of what a path names there.

    Raises:
        PathError: nothing is there, or links do not end.
    """
    with _rooted(root) as top:
        descriptor = _open(top, path, os.O_PATH)
        try:
            return _place(top, descriptor)
        finally:
            os.close(descriptor)


def open_file(root: Path, path: str, flags: int, mode: int = 0o644) -> int:
    """Open a file inside a root; give the descriptor.

    Raises:
        PathError: it can not be opened, and why.
    """
    with _rooted(root) as top:
        return _open(top, path, flags, mode)


def status(root: Path, path: str, *, follow: bool = True) -> os.stat_result:
    """Tell what stat (or lstat) says of a path inside a root.

    Raises:
        PathError: nothing is there.
    """
    with _rooted(root) as top:
        descriptor = _open(top, path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)


def exists(root: Path, path: str, *, follow: bool = True) -> bool:
    """Whether a path names something inside a root; links that do not end name nothing."""
    try:
        status(root, path, follow=follow)
    except PathError:
        return False
    return True


def readlink(root: Path, path: str) -> str:
    """Read the text of a symbolic link inside a root.

    Raises:
        PathError: it is not there, or not a link.
    """
    with _rooted(root) as top:
        descriptor = _open(top, path, os.O_PATH | os.O_NOFOLLOW)
        try:
            return os.readlink("", dir_fd=descriptor)
        except OSError as exc:
            raise PathError(f"{path}: is not a symbolic link") from exc
        finally:
            os.close(descriptor)


def mkdirs(root: Path, path: str, mode: int = 0o755) -> str:
    """Make a directory and what is missing above it; give its link-free path.

    Raises:
        PathError: a part of the path is there and is not a directory.
    """
    with _rooted(root) as top:
        return _walk(top, path, "dir", mode, [])


def stub(root: Path, target: str, kind: Literal["dir", "file"]) -> Stub:
    """Have a mount point at `target`, making what is missing.

    Raises:
        PathError: something of another kind is there.
    """
    made: list[Made] = []
    with _rooted(root) as top:
        path = _walk(top, target, kind, 0o755, made)
    return Stub(path, tuple(made))


def unstub(root: Path, stubs: Iterable[Stub]) -> None:
    """Remove what `stub` made, innermost first, where it is still the same and empty."""
    with _rooted(root) as top:
        for made in reversed([made for one in stubs for made in one.made]):
            parent, _, name = made.path.rpartition("/")
            with suppress(OSError, PathError):
                descriptor = _open(top, parent or "/", os.O_RDONLY | os.O_DIRECTORY)
                try:
                    _remove(descriptor, name, made)
                finally:
                    os.close(descriptor)


def _remove(parent: int, name: str, made: Made) -> None:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if (found.st_dev, found.st_ino) != (made.device, made.inode):
        return
    if stat.S_ISDIR(found.st_mode):
        os.rmdir(name, dir_fd=parent)
    elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
        os.unlink(name, dir_fd=parent)


def _walk(top: int, path: str, kind: str, mode: int, made: list[Made]) -> str:
    """Go along a path, a name at a time, making what is missing; the last is of `kind`."""
    if "\0" in path:
        raise PathError(f"{path!r}: a path can not hold a null character")
    done: list[str] = []
    todo = _parts(path)
    links = 0
    while todo:
        name = todo.pop()
        if name == "..":
            del done[-1:]
            continue
        parent = _open(top, "/" + "/".join(done), os.O_PATH | os.O_DIRECTORY)
        try:
            found = _have(parent, name, "dir" if todo else kind, mode)
            here = "/" + "/".join([*done, name])
            if isinstance(found, Made):
                made.append(Made(here, found.device, found.inode))
            elif stat.S_ISLNK(found.st_mode):
                links += 1
                if links > _LINKS:
                    raise PathError(f"{path}: too many levels of symbolic links")
                target = os.readlink(name, dir_fd=parent)
                done = [] if target.startswith("/") else done
                todo += _parts(target)
                continue
            elif stat.S_ISDIR(found.st_mode) != (bool(todo) or kind == "dir"):
                want = "a directory" if todo or kind == "dir" else "a file"
                raise PathError(f"{path}: {here} is in the way: {want} is needed there")
            done.append(name)
        finally:
            os.close(parent)
    return "/" + "/".join(done)


def _have(parent: int, name: str, kind: str, mode: int) -> os.stat_result | Made:
    """Give the status of a name in a directory, or make it if there is none."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise PathError(f"{name[:80]}: {exc.strerror}") from exc
    with storing(f"make {name} in a snapshot"):
        if kind == "dir":
            os.mkdir(name, mode, dir_fd=parent)
            os.chmod(name, mode, dir_fd=parent)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    return Made(name, found.st_dev, found.st_ino)


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in {"", "."}]


@contextmanager
def _rooted(root: Path) -> Iterator[int]:
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield top
    finally:
        os.close(top)


def _open(top: int, path: str, flags: int, mode: int = 0) -> int:
    """Open by openat2, again where the kernel saw a rename race (EAGAIN)."""
    if "\0" in path:
        raise PathError(f"{path!r}: a path can not hold a null character")
    for _ in range(_TRIES):
        try:
            return kernel.openat2(
                top, path or ".", flags, mode if flags & os.O_CREAT else 0, _RESOLVE
            )
        except InterruptedError:
            continue
        except BlockingIOError:
            continue
        except OSError as exc:
            if exc.errno == errno.ENOSYS:
                raise PathError(
                    f"{path}: this kernel ({os.uname().release}) can not resolve paths inside a "
                    "root safely; Linux 5.6 or newer is needed (openat2)"
                ) from exc
            raise PathError(f"{path}: {_WHY.get(exc.errno or 0, exc.strerror)}") from exc
    raise PathError(f"{path}: directories above it are renamed all the time; try again")


def _place(top: int, descriptor: int) -> str:
    """Where a descriptor is, below the root."""
    base = os.readlink(f"/proc/self/fd/{top}")
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    return "/" + os.path.relpath(path, base) if path != base else "/"
