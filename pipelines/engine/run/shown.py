"""A snapshot's layers shown as entries, looked up one by one without a mount."""

import os
import stat

from pipelines.engine.errors import PathError
from pipelines.engine.snapshots.stack import Found, Level, locate, lookup
from pipelines.engine.tree import Entry, Tree, parents
from pipelines.engine.tree.paths import resolve

__all__ = ["Stack"]


class Stack:
    """The merged entries of a level; file entries carry no content digest."""

    __slots__ = ("_found", "_level")

    def __init__(self, level: Level) -> None:
        self._level = level
        self._found: dict[str, Found | None] = {"": locate(level, "")}

    def get(self, path: str, /) -> Entry | None:
        """Give the entry at a normalised path."""
        found = self.found(path)
        return None if found is None else _entry(found)

    def found(self, path: str) -> Found | None:
        """Give what the layers show at a normalised path; "" is the root."""
        if path not in self._found:
            above, _, name = path.rpartition("/")
            parent = self.found(above)
            self._found[path] = (
                lookup(parent.level, above, name) if parent is not None and parent.level else None
            )
        return self._found[path]

    def around(self, paths: list[str]) -> Tree:
        """Make a tree of what is at some paths, and of the directories above them."""
        shown: dict[str, Entry] = {}
        for path in paths:
            for at in (*parents(path), path):
                if at and at not in shown and (entry := self.get(at)) is not None:
                    shown[at] = entry
        return Tree(shown)

    def read(self, path: str) -> bytes:
        """Read a file, links followed inside the stack; b"" if there is none."""
        try:
            found = self.found(resolve(self, path))
        except PathError:
            return b""
        if found is None or not stat.S_ISREG(found.stat.st_mode):
            return b""
        with open(found.path, "rb") as file:
            return file.read()


def _entry(found: Found) -> Entry:
    st = found.stat
    mode = stat.S_IMODE(st.st_mode)
    if stat.S_ISDIR(st.st_mode):
        return Entry("dir", mode, uid=st.st_uid, gid=st.st_gid)
    if stat.S_ISLNK(st.st_mode):
        return Entry("link", 0o777, target=os.readlink(found.path), uid=st.st_uid, gid=st.st_gid)
    return Entry("file", mode, st.st_size, uid=st.st_uid, gid=st.st_gid)
