"""What a directory holds, as a save sees it.

Directories are entered by descriptor, never through a link: a tree that is written to while it
is walked can not make the walk leave it. Sockets, pipes and devices are passed over (and said);
whiteouts (character devices 0:0) are kept when the caller is the engine, with owners and
attributes (`exact`).
"""

import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from pipelines.caches.credentials import holds_secret, suspicion
from pipelines.caches.tree import DIR, FILE, HARD, LINK, WHITEOUT, Xattrs

__all__ = ["Found", "Keep", "Scan", "arrange", "entered", "scan"]

_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Found:
    """A file as it was found; `stamp` changes whenever its contents may have."""

    path: bytes
    kind: int
    mode: int
    owner: tuple[int, int]
    mtime: int
    size: int
    stamp: tuple[int, int, int, int]
    target: bytes = b""
    xattrs: Xattrs = ()


@dataclass(slots=True)
class Scan:
    """The rows of a directory in order of their paths, and what was left out, with the reason."""

    rows: list[Found] = field(default_factory=list)
    skipped: list[tuple[bytes, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Keep:
    """What travels: all (`whole`), or all but what the tool wants left behind, and credentials."""

    dropped: Collection[bytes] = ()
    whole: bool = False

    def refuse(self, path: bytes, directory: int, *, below: bool) -> str | None:
        """Say why what is in an open directory is not saved; None: it is.

        `below`: it is a directory itself, with all that is in it.
        """
        if self.whole:
            return None
        if path in self.dropped:
            return "the tool makes it anew"
        if below:
            return None
        match suspicion(path):
            case "always":
                return "credentials"
            case "look" if holds_secret(directory, path.rpartition(b"/")[2]):
                return "credentials"
        return None


@contextmanager
def entered(top: int, path: bytes) -> Iterator[int]:
    """Open a directory below `top` step by step, following no link."""
    held = top
    try:
        for name in path.split(b"/") if path else ():
            inner = os.open(name, _ENTER, dir_fd=held)
            if held != top:
                os.close(held)
            held = inner
        yield held
    finally:
        if held != top:
            os.close(held)


def scan(root: str | bytes | os.PathLike[str], keep: Keep, *, exact: bool = False) -> Scan:
    """Walk a directory."""
    found = Scan()
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found.rows.append(_row(b"", os.fstat(top), lambda: _xattrs(top), exact=exact))
        below = [b""]
        while below:
            path = below.pop()
            with entered(top, path) as held:
                below += _list(found, path, held, keep, exact=exact)
    finally:
        os.close(top)
    arrange(found)
    return found


def arrange(found: Scan) -> None:
    """Put rows in order; the further names of a file become hard links of the first.

    Stamps of files that may have other names have a negative inode; afterwards none has.
    """
    found.rows.sort(key=lambda row: row.path)
    _link(found.rows)


def _list(found: Scan, path: bytes, held: int, keep: Keep, *, exact: bool) -> list[bytes]:
    """Add what a directory holds; give its directories."""
    below = []
    prefix = path + b"/" if path else b""
    with os.scandir(held) as items:
        for item in items:
            name = os.fsencode(item.name)
            full = prefix + name
            try:
                status = item.stat(follow_symlinks=False)
                directory = stat.S_ISDIR(status.st_mode)
                why = _odd(status, exact=exact)
                if why is None:
                    why = keep.refuse(full, held, below=directory)
                if why is not None:
                    found.skipped.append((full, why))
                    continue
                row = _row(full, status, partial(_xattrs_at, held, name), exact=exact)
                if row.kind == LINK:
                    row.target = os.readlink(name, dir_fd=held)
            except FileNotFoundError:
                continue  # gone since it was listed
            found.rows.append(row)
            if directory:
                below.append(full)
    return below


def _odd(status: os.stat_result, *, exact: bool) -> str | None:
    mode = status.st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
        return None
    if exact and stat.S_ISCHR(mode) and status.st_rdev == 0:
        return None
    return "neither a file, a directory nor a link"


def _row(
    path: bytes, status: os.stat_result, xattrs: Callable[[], Xattrs], *, exact: bool
) -> Found:
    kind = {stat.S_IFDIR: DIR, stat.S_IFLNK: LINK, stat.S_IFCHR: WHITEOUT}.get(
        stat.S_IFMT(status.st_mode), FILE
    )
    linked = kind == FILE and status.st_nlink > 1
    return Found(
        path,
        kind,
        stat.S_IMODE(status.st_mode),
        (status.st_uid, status.st_gid) if exact else (0, 0),
        status.st_mtime_ns,
        status.st_size,
        # A negative inode marks a file that may have other names; see `arrange`.
        (
            -status.st_ino if linked else status.st_ino,
            status.st_ctime_ns,
            status.st_mtime_ns,
            status.st_size,
        ),
        xattrs=xattrs() if exact and kind in (FILE, DIR) else (),
    )


def _link(rows: list[Found]) -> None:
    """Make hard links of the further names of a file, after the first in order of paths."""
    names: dict[int, bytes] = {}
    for row in rows:
        inode = row.stamp[0]
        if inode >= 0:
            continue
        row.stamp = (-inode, *row.stamp[1:])
        if inode in names:
            row.kind, row.target = HARD, names[inode]
        else:
            names[inode] = row.path


def _xattrs(held: int) -> Xattrs:
    return tuple(
        sorted((os.fsencode(n), os.getxattr(held, n)) for n in os.listxattr(held) if _travels(n))
    )


def _travels(name: str) -> bool:
    return name.startswith(("user.", "trusted.")) or name == "security.capability"


def _xattrs_at(held: int, name: bytes) -> Xattrs:
    """Read attributes of a name in a directory through its descriptor, following no link."""
    with suppress(OSError):  # most files have none, and one call says so, where /proc is
        if not os.listxattr(b"/proc/self/fd/%d/%b" % (held, name), follow_symlinks=False):
            return ()
    try:
        inner = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=held
        )
    except OSError:
        return ()
    try:
        return _xattrs(inner)
    finally:
        os.close(inner)
