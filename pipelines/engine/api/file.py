"""Files: an edge that gives a tree of one entry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api.session import Session
from pipelines.engine.api.values import Stat
from pipelines.engine.digest import Digest
from pipelines.engine.errors import PathError, QueryError
from pipelines.engine.op import Chown, Edge, Rename, Replace, Select, Touch
from pipelines.engine.tree import Entry

__all__ = ["FIELDS", "File", "owned", "stat_of"]

LARGEST = 128 * 1024 * 1024
"""Bytes of a file that one answer carries, as Dagger's `File.contents`."""

_TYPES = {"dir": "DIRECTORY", "file": "REGULAR", "link": "SYMLINK"}


@dataclass(frozen=True, slots=True)
class File:
    """A file: `path` in what `base` gives, or all of it if "", a tree of one entry."""

    TYPE: ClassVar[str] = "File"

    base: Edge
    path: str = ""

    @property
    def edge(self) -> Edge:
        """The edge that gives this file as a tree of one entry."""
        return Edge(Select(self.base, self.path, "file")) if self.path else self.base


def stat_of(path: str, entry: Entry) -> Stat:
    """Describe an entry."""
    name = path.rstrip("/").rpartition("/")[2] or "/"
    return Stat(name, _TYPES[entry.kind], entry.size or len(entry.target), entry.mode & 0o777)


async def _entry(session: Session, file: File) -> tuple[str, Entry]:
    return (await session.engine.tree(file.edge)).file


async def contents(
    session: Session, file: File, *, offset_lines: int | None, limit_lines: int | None
) -> str:
    """Give the text; with an offset or a limit, only those lines."""
    name, entry = await _entry(session, file)
    if entry.size > LARGEST:
        raise PathError(
            f"contents of {name}: {entry.size} bytes are more than the {LARGEST} that one answer "
            "carries; use export, or cut it in a command"
        )
    text = (await session.engine.read(entry, None)).decode("utf-8", "replace")
    if offset_lines is None and limit_lines is None:
        return text
    start = offset_lines or 0
    if start < 0 or (limit_lines is not None and limit_lines < 0):
        raise QueryError("File.contents: offsetLines and limitLines count from 0")
    lines = text.split("\n")  # not splitlines: only a newline ends a line here
    lines = [*(line + "\n" for line in lines[:-1]), lines[-1]]
    ended = len(lines) if limit_lines is None else start + limit_lines
    return "".join(lines[start:ended])


async def name(session: Session, file: File) -> str:
    """Give the file's name."""
    return file.path.rpartition("/")[2] or (await _entry(session, file))[0]


async def size(session: Session, file: File) -> int:
    """Give the size in bytes."""
    return (await _entry(session, file))[1].size


async def digest(session: Session, file: File, *, exclude_metadata: bool) -> str:
    """Digest the file: with its name, mode and owner, or only its bytes."""
    if exclude_metadata:
        return Digest.of_hex((await _entry(session, file))[1].content)
    return (await session.engine.tree(file.edge)).digest


async def export(session: Session, file: File, *, path: str, allow_parent_dir_path: bool) -> str:
    """Write the file to the host."""
    tree = await session.engine.tree(file.edge)
    return await session.engine.export_file(tree, path, allow_parent_dir_path)


async def sync(session: Session, file: File) -> str:
    """Force the file."""
    await session.engine.solve(file.edge.op)
    return session.objects.remember(file)


async def stat(session: Session, file: File) -> Stat:
    """Describe the file."""
    return stat_of(*await _entry(session, file))


def with_name(_session: Session, file: File, *, name: str) -> File:
    """Rename."""
    return File(Edge(Rename(file.edge, name)))


def with_timestamps(_session: Session, file: File, *, timestamp: int) -> File:
    """Pin the modification time."""
    return File(Edge(Touch(file.edge, timestamp)))


def chown(_session: Session, file: File, *, owner: str) -> File:
    """Change the owner."""
    return File(Edge(Chown(file.edge, "", owned("File.chown", owner))))


def owned(where: str, owner: str) -> str:
    """Check that an owner was given.

    Raises:
        QueryError: it is empty.
    """
    if not owner:
        raise QueryError(f"{where}: owner is empty; give a user or user:group")
    return owner


def with_replaced(
    _session: Session,
    file: File,
    *,
    search: str,
    replacement: str,
    all_: bool,
    first_from: int | None,
) -> File:
    """Replace text."""
    if not search:
        raise QueryError("File.withReplaced: search is empty; give the text to replace")
    return File(Edge(Replace(file.edge, search, replacement, all_, first_from)))


FIELDS: dict[str, Callable[..., Any]] = {
    "chown": chown,
    "contents": contents,
    "digest": digest,
    "export": export,
    "name": name,
    "size": size,
    "stat": stat,
    "sync": sync,
    "withName": with_name,
    "withReplaced": with_replaced,
    "withTimestamps": with_timestamps,
}
