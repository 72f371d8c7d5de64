"""What runners ask of whatever keeps the bytes of files."""

from pathlib import Path
from typing import BinaryIO, Protocol

from pipelines.engine.tree import Entry, Tree

__all__ = ["Contents", "Readable"]


class Readable(Protocol):
    """A place that files can be read from."""

    def open(self, entry: Entry) -> BinaryIO:
        """Open an entry's content: a real file, with a descriptor."""
        ...


class Contents(Readable, Protocol):
    """A place that files are kept in (`store.files.Files`)."""

    @property
    def owners(self) -> bool:
        """Tell whether ids other than our own can be given to files."""
        ...

    def write(
        self, data: bytes, mode: int = ..., uid: int = ..., gid: int = ..., mtime: int | None = ...
    ) -> Entry:
        """Keep bytes and give their entry."""
        ...

    def adopt(self, path: Path, entry: Entry) -> Path:
        """Take in a file of a layer, which nobody writes to, without a copy."""
        ...

    def materialise(self, tree: Tree, into: Path) -> None:
        """Put a tree on disk, in a fresh directory."""
        ...
