"""Export trees and files to the host, as the calling user.

Theory of operation
    Directories are opened one name at a time without following links, so that nothing is
    written outside the destination, whoever changes it meanwhile. A file is written beside
    its place under a temporary name and renamed: it is there whole or not at all. What is
    there already, by the stat cache or by its hash, is not written again. Modes lose their
    set-id bits, times are those of the store's file, owners are the caller.

    A file that we wrote with an old modification time is known at once: a later write gives
    it a new time even within the same clock tick, unlike a file that we found (`statcache`).
"""

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.engine.errors import PathError
from pipelines.engine.run.contents import Readable
from pipelines.engine.run.pour import pour
from pipelines.engine.sources.host import hash_at
from pipelines.engine.sources.statcache import FOREIGN, StatCache, racy, stamp
from pipelines.engine.tree import Entry, Tree

__all__ = ["export_file", "export_tree", "remove_below"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def export_tree(
    tree: Tree, files: Readable, dest: Path, *, wipe: bool = False, cache_dir: Path | None = None
) -> int:
    """Merge a tree into a host directory; with `wipe`, what is not in the tree goes.

    Returns how many files and links were written.

    Raises:
        PathError: something can not be written, or a wipe would take "/" or a home directory.
    """
    with _naming(dest):
        target = os.path.realpath(dest)
        if wipe:
            _check_wipe(dest, target)
        os.makedirs(target, exist_ok=True)
        export = _Export(files, target, StatCache(cache_dir, target))
        try:
            if wipe:
                export.wipe(tree)
            export.run(tree)
        finally:
            export.close()
        export.cache.save()
        return export.written


def export_file(
    tree: Tree, files: Readable, dest: Path | str, *, allow_parent_dir_path: bool = False
) -> Path:
    """Write a file tree's file to a host path; give the path.

    With `allow_parent_dir_path` a directory, or a path that ends with "/", takes the file
    under its own name.

    Raises:
        PathError: it can not be written, or the path is a directory and may not be.
    """
    name, entry = tree.file
    text = os.fspath(dest)
    with _naming(Path(text)):
        if text.endswith("/") or os.path.isdir(text):
            if not allow_parent_dir_path:
                raise PathError(
                    f"export file to {text}: it is a directory; give a file path or allow it"
                )
            text = os.path.join(text, name)
        above, last = os.path.split(os.path.abspath(text))
        os.makedirs(above, exist_ok=True)
        export = _Export(files, os.path.realpath(above), StatCache(None, above))
        try:
            export.members("", [(last, entry)])
        finally:
            export.close()
    return Path(above, last)


def remove_below(dest: Path, paths: Iterable[str]) -> None:
    """Remove paths below a host directory; what is missing, or beyond a link, stays.

    Raises:
        PathError: something can not be removed.
    """
    with _naming(dest):
        if not dest.is_dir():
            return
        top = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in paths:
                _remove(top, path.rstrip("/").split("/"))
        finally:
            os.close(top)


def _remove(top: int, parts: Sequence[str]) -> None:
    """Remove a path, its directories opened one by one without following links."""
    try:
        if len(parts) > 1:
            below = os.open(parts[0], _DIRECTORY, dir_fd=top)
            try:
                _remove(below, parts[1:])
            finally:
                os.close(below)
        elif stat.S_ISDIR(os.stat(parts[0], dir_fd=top, follow_symlinks=False).st_mode):
            shutil.rmtree(parts[0], dir_fd=top)
        else:
            os.unlink(parts[0], dir_fd=top)
    except FileNotFoundError:
        return
    except OSError as exc:
        if exc.errno not in {errno.ENOTDIR, errno.ELOOP}:
            raise


@contextmanager
def _naming(dest: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        where = exc.filename if isinstance(exc.filename, str) else str(dest)
        raise PathError(f"export to {dest}: can not write {where}: {exc.strerror}") from exc


def _check_wipe(dest: Path, target: str) -> None:
    home = os.path.realpath(os.path.expanduser("~"))
    if target in {"/", home} or home.startswith(target + "/"):
        raise PathError(f"export to {dest} with wipe would empty {target}; name another directory")


class _Export:
    """One export below `root`, which is a real directory."""

    def __init__(self, files: Readable, root: str, cache: StatCache) -> None:
        self._files = files
        self._root = root
        self.cache = cache
        self.written = 0
        self._began = time.time_ns()
        self._top = os.open(root, _DIRECTORY)
        self._made: dict[str, int] = {}

    def close(self) -> None:
        """Give the root's descriptor back."""
        os.close(self._top)

    def run(self, tree: Tree) -> None:
        """Make directories, fill them, and then give new ones their modes."""
        members: dict[str, list[tuple[str, Entry]]] = {"": []}
        for path in sorted(tree):
            entry = tree[path]
            if entry.kind == "dir":
                members[path] = []
            else:
                above, _, name = path.rpartition("/")
                members[above].append((name, entry))
        for at, inside in members.items():
            self.members(at, inside)
        for at in reversed(self._made):
            with self._opened(at) as fd:
                os.fchmod(fd, tree[at].mode & 0o777)
                if (mtime := tree[at].mtime) is not None:
                    os.utime(fd, (mtime, mtime))

    def members(self, at: str, inside: list[tuple[str, Entry]]) -> None:
        """Fill one directory, which is made if it is missing."""
        with self._opened(at) as fd:
            for name, entry in inside:
                try:
                    self._member(fd, name, entry)
                except OSError as exc:
                    exc.filename = os.path.join(self._root, at, name)
                    raise

    def _member(self, fd: int, name: str, entry: Entry) -> None:
        try:
            there = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there is not None and stat.S_ISDIR(there.st_mode):
            raise IsADirectoryError(21, "is a directory, not to be replaced by a file", name)
        if entry.kind == "link":
            self._link(fd, name, entry, there)
        elif there is None or not self._settled(fd, name, entry, there):
            self._file(fd, name, entry)

    def _settled(self, fd: int, name: str, entry: Entry, there: os.stat_result) -> bool:
        """Tell whether the file is there with its content and mode; a pinned time is put right."""
        if not stat.S_ISREG(there.st_mode) or there.st_size != entry.size:
            return False
        known = self.cache.known.get(stamp(there))
        if known is None:
            try:
                there, _, known = hash_at(name, fd)
            except OSError:  # not readable for us: replaced, as it would be were it different
                return False
            if not racy(there, self._began, local=self.cache.local):
                self.cache.new[stamp(there)] = known
        else:
            self.cache.met += 1
        if known.hex() != entry.content:
            return False
        if stat.S_IMODE(there.st_mode) != entry.mode & 0o777:
            return False
        if entry.mtime is not None and int(there.st_mtime) != entry.mtime:
            os.utime(name, (entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)
        return True

    def _file(self, fd: int, name: str, entry: Entry) -> None:
        with self._files.open(entry) as source, _temporary(fd) as temporary:
            write = os.open(temporary, _NEW, 0o600, dir_fd=fd)
            try:
                pour(source.fileno(), write)
                os.fchmod(write, entry.mode & 0o777)
                modified = os.fstat(source.fileno()).st_mtime_ns
                if entry.mtime is not None:
                    modified = entry.mtime * 1_000_000_000
                os.utime(write, ns=(modified, modified))
                os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
                there = os.fstat(write)
            finally:
                os.close(write)
        self.written += 1
        if self.cache.local and modified < self._began - FOREIGN:
            self.cache.new[stamp(there)] = bytes.fromhex(entry.content)

    def _link(self, fd: int, name: str, entry: Entry, there: os.stat_result | None) -> None:
        is_link = there is not None and stat.S_ISLNK(there.st_mode)
        if is_link and os.readlink(name, dir_fd=fd) == entry.target:
            return
        with _temporary(fd) as temporary:
            os.symlink(entry.target, temporary, dir_fd=fd)
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        self.written += 1

    @contextmanager
    def _opened(self, at: str) -> Iterator[int]:
        """Open a directory below the root, name by name; a missing one is made."""
        fd, done = os.dup(self._top), ""
        try:
            for name in at.split("/") if at else ():
                done = f"{done}/{name}" if done else name
                try:
                    below = self._enter(fd, name, done)
                except OSError as exc:
                    exc.filename = os.path.join(self._root, done)
                    raise
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def _enter(self, fd: int, name: str, done: str) -> int:
        try:
            return os.open(name, _DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=fd)
            self._made[done] = 1
            return os.open(name, _DIRECTORY, dir_fd=fd)
        except NotADirectoryError as exc:
            raise NotADirectoryError(exc.errno, "is a file or link, not a directory") from exc

    def wipe(self, tree: Tree, at: str = "") -> None:
        """Remove what the tree does not have, or has as another kind."""
        with self._opened(at) as fd:
            for name in os.listdir(fd):
                path = f"{at}/{name}" if at else name
                mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
                entry = tree.get(path)
                is_dir = stat.S_ISDIR(mode)
                if entry is not None and (entry.kind == "dir") is is_dir:
                    if is_dir:
                        self.wipe(tree, path)
                elif is_dir:
                    shutil.rmtree(name, dir_fd=fd)
                else:
                    os.unlink(name, dir_fd=fd)


@contextmanager
def _temporary(fd: int) -> Iterator[str]:
    """Give a name for a file in the making; if it is still there after, it goes."""
    name = f".pipelines-{os.urandom(8).hex()}"
    try:
        yield name
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=fd)
        raise
