"""Put a tree on disk, fast: one directory at a time, files by hard link.

Theory of operation
    Pass 1 makes the directories, parents first, open to us only. Pass 2 goes through them
    children first: fill it through its own descriptor, then give it its owner, mode and
    time. So a directory that its mode would close to us is closed only after all below it is
    done, and no pinned time is changed by what is done later. Paths need no care about
    links: the directory is fresh, and pass 1 makes real directories only.

Times
    A file keeps the time at which its content first came into the store: equal content, equal
    time. Directories and links have no content that is kept, so theirs is one constant. Programs
    that know a file by its time and size (Go's test cache, most build tools) so find what did not
    change unchanged, in whatever checkout and layer it comes. Source: go, `cmd/go/internal/test`,
    `hashOpen` and `hashStat`: name, size, mode and time of what a test opened or looked at.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pipelines.engine.store.transfer import copy_out, link_refused
from pipelines.engine.tree import Entry, Tree

__all__ = ["Source", "materialise"]

_LISTING = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Source(Protocol):
    """What has the files."""

    @property
    def owners(self) -> bool:
        """Whether ids other than our own can be given to files."""
        ...

    @property
    def root(self) -> str:
        """The directory that names are relative to."""
        ...

    def name(self, entry: Entry) -> str:
        """Name the entry's file, relative to `root`."""
        ...

    def ensure(self, entry: Entry) -> Path:
        """Give the entry's file, brought in if it is not there."""
        ...


Members = list[tuple[str, Entry]]

UNCHANGING = 1_000_000_000  # 2001-09-09: older than anything that is ever compared with it


def materialise(source: Source, tree: Tree, into: Path) -> None:
    """Put `tree` into the fresh directory `into`."""
    directories, members = _by_directory(tree)
    with _opened(into) as top, _opened(source.root) as store:
        for path, _ in directories:
            os.mkdir(path, 0o700, dir_fd=top)
        _fill(source, members.get("", []), store, top)
        for path, entry in reversed(directories):
            with _opened(path, top) as here:
                _fill(source, members.get(path, []), store, here)
                _finish(here, entry, source.owners)
        os.utime(top, (UNCHANGING, UNCHANGING))


def _by_directory(tree: Tree) -> tuple[Members, dict[str, Members]]:
    """Split a tree in directories, parents first, and what else is in each, by base name."""
    directories: Members = []
    members: dict[str, Members] = {}
    for path, entry in tree.items():
        if entry.kind == "dir":
            directories.append((path, entry))
            continue
        above, _, name = path.rpartition("/")
        try:
            members[above].append((name, entry))
        except KeyError:
            members[above] = [(name, entry)]
    directories.sort()
    return directories, members


@contextmanager
def _opened(path: Path | str, dir_fd: int | None = None) -> Iterator[int]:
    fd = os.open(path, _LISTING, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _fill(source: Source, members: Members, store: int, here: int) -> None:
    link, name_of = os.link, source.name
    for name, entry in members:
        if entry.kind == "link":
            _symlink(entry, name, here, source.owners)
            continue
        stored = name_of(entry)
        try:
            link(stored, name, src_dir_fd=store, dst_dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            path = str(source.ensure(entry))
            _link_or_copy(path, name, here, link)
        except OSError as exc:
            if not link_refused(exc):
                raise
            copy_out(f"{source.root}/{stored}", name, here)


def _link_or_copy(path: str, name: str, here: int, link: Callable[..., None]) -> None:
    try:
        link(path, name, dst_dir_fd=here, follow_symlinks=False)
    except OSError as exc:
        if not link_refused(exc):
            raise
        copy_out(path, name, here)


def _symlink(entry: Entry, name: str, here: int, owners: bool) -> None:
    os.symlink(entry.target, name, dir_fd=here)
    if owners and (entry.uid or entry.gid):
        os.chown(name, entry.uid, entry.gid, dir_fd=here, follow_symlinks=False)
    when = UNCHANGING if entry.mtime is None else entry.mtime
    os.utime(name, (when, when), dir_fd=here, follow_symlinks=False)


def _finish(here: int, entry: Entry, owners: bool) -> None:
    if owners and (entry.uid or entry.gid):
        os.fchown(here, entry.uid, entry.gid)
    os.fchmod(here, entry.mode)
    when = UNCHANGING if entry.mtime is None else entry.mtime
    os.utime(here, (when, when))
