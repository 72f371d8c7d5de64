"""Host directories: a walk that gives a tree, and reads only what changed.

Directories that can not hold a match are not entered. Ownership becomes 0:0, modification
times and extended attributes are dropped, permission bits stay. Symbolic links are never
followed, but for the root itself. Sockets, pipes and devices are left out with a warning.
"""

import hashlib
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipelines.engine.errors import SourceError
from pipelines.engine.patterns import Matcher
from pipelines.engine.sources.gitignore import Gitignore, read_lines, rules_above
from pipelines.engine.sources.statcache import StatCache, racy, stamp
from pipelines.engine.tree import Entry, Tree

__all__ = ["Reading", "hash_at", "read"]

_CHUNK: Final = 1 << 17
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Reading:
    """A tree, the directory that it was read from, and what was left out."""

    tree: Tree
    root: str
    warnings: tuple[str, ...] = ()

    @property
    def origins(self) -> Mapping[str, str]:
        """Say where content (hex) can be read on the host."""
        prefix = self.root.rstrip("/") + "/"
        return {e.content: prefix + p for p, e in self.tree.items() if e.kind == "file"}


def read(
    path: str,
    *,
    kind: str = "dir",
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    gitignore: bool = False,
    cache_dir: Path | None = None,
) -> Reading:
    """Read a directory, or with kind "file" one file, of the host.

    Raises:
        SourceError: it is missing, of another kind, or a part of it can not be read.
    """
    root = os.path.abspath(path)
    try:
        if kind == "file":
            return _read_file(root, StatCache(cache_dir, root))
        walk = _Walk(root, Matcher(include, exclude), StatCache(cache_dir, root))
        if gitignore:
            walk.ignore = Gitignore(
                lambda at: read_lines(os.path.join(root, at, ".gitignore")), rules_above(root)
            )
        walk.chosen = gitignore or not walk.matcher.everything
        return walk.run()
    except OSError as exc:
        where = exc.filename if isinstance(exc.filename, str) else root
        if not os.path.isabs(where):
            where = os.path.join(root, where)
        raise SourceError(f"can not read host {kind} {root}: {where}: {exc.strerror}") from exc


@dataclass(slots=True)
class _Walk:
    """One walk: a stack of directories, each opened below the root's descriptor."""

    root: str
    matcher: Matcher
    cache: StatCache
    ignore: Gitignore | None = None
    chosen: bool = False
    entries: dict[str, Entry] = field(default_factory=dict)
    pending: dict[str, Entry] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    began: int = field(default_factory=time.time_ns)

    def run(self) -> Reading:
        top = os.open(self.root, _DIR_FLAGS)
        try:
            stack = [""]
            while stack:
                self._directory(top, stack.pop(), stack)
        finally:
            os.close(top)
        self.cache.save()
        return Reading(Tree(self.entries), self.root, tuple(self.warnings))

    def _directory(self, top: int, at: str, stack: list[str]) -> None:
        try:
            fd = os.open(at or ".", _DIR_FLAGS | (os.O_NOFOLLOW if at else 0), dir_fd=top)
        except OSError as exc:
            exc.filename = os.path.join(self.root, at)
            raise
        path = at
        try:
            with os.scandir(fd) as found:
                for item in found:
                    path = f"{at}/{item.name}" if at else item.name
                    self._item(fd, path, item, stack)
        except OSError as exc:
            exc.filename = os.path.join(self.root, path)
            raise
        finally:
            os.close(fd)

    def _item(self, fd: int, path: str, item: os.DirEntry[str], stack: list[str]) -> None:
        verdict = "keep"
        if self.chosen:
            is_dir = item.is_dir(follow_symlinks=False)
            if self.ignore is not None and self.ignore.ignores(path, is_dir):
                return
            verdict = self.matcher.verdict(path, is_dir)
            if verdict == "skip":
                return
        st = item.stat(follow_symlinks=False)
        kind = stat.S_IFMT(st.st_mode)
        if kind == stat.S_IFREG:
            content = self.cache.known.get(stamp(st))
            if content is None:
                entry = self._hash(fd, item.name)
            else:
                self.cache.met += 1
                entry = Entry("file", st.st_mode & 0o7777, st.st_size, content.hex())
        elif kind == stat.S_IFDIR:
            stack.append(path)
            entry = Entry("dir", st.st_mode & 0o7777)
            if verdict == "descend":
                self.pending[path] = entry
                return
        elif kind == stat.S_IFLNK:
            entry = Entry("link", 0o777, target=os.readlink(item.name, dir_fd=fd))
        else:
            self.warnings.append(f"{self.root}/{path} is left out: not a file or directory")
            return
        self.entries[path] = entry
        if self.pending:
            self._keep_parents(path)

    def _keep_parents(self, path: str) -> None:
        """Keep directories that were only looked into, now that they hold something."""
        at = path.rpartition("/")[0]
        while at in self.pending:
            self.entries[at] = self.pending.pop(at)
            at = at.rpartition("/")[0]

    def _hash(self, fd: int, name: str) -> Entry:
        st, size, content = hash_at(name, fd)
        if not racy(st, self.began, local=self.cache.local):
            self.cache.new[stamp(st)] = content
        return Entry("file", st.st_mode & 0o7777, size, content.hex())


def hash_at(
    name: str, fd: int | None = None, follow: bool = False
) -> tuple[os.stat_result, int, bytes]:
    """Read a file: its status from before the read, the bytes read, their sha-256."""
    flags = _FILE_FLAGS & ~os.O_NOFOLLOW if follow else _FILE_FLAGS
    file = os.open(name, flags, dir_fd=fd)
    try:
        st = os.fstat(file)
        if not stat.S_ISREG(st.st_mode):
            raise OSError(0, "is not a regular file", name)
        block = os.read(file, _CHUNK)
        if len(block) < _CHUNK and len(block) == st.st_size:
            return st, st.st_size, hashlib.sha256(block).digest()
        total, state = 0, hashlib.sha256()
        while block:
            total += len(block)
            state.update(block)
            block = os.read(file, _CHUNK)
        return st, total, state.digest()
    finally:
        os.close(file)


def _read_file(path: str, cache: StatCache) -> Reading:
    """Read one file; a symbolic link is followed."""
    st = os.stat(path)
    began, key = time.time_ns(), stamp(st)
    content, size = cache.known.get(key), st.st_size
    if content is None or not stat.S_ISREG(st.st_mode):
        st, size, content = hash_at(path, follow=True)
        if not racy(st, began, local=cache.local):
            cache.new[stamp(st)] = content
            cache.save()
    entry = Entry("file", st.st_mode & 0o7777, size, content.hex())
    return Reading(Tree({os.path.basename(path): entry}), os.path.dirname(path))
