"""Trees of a generation: what a directory holds, row by row.

Theory of operation
    A tree is kept in columns, not in objects: a build cache has tens of thousands of files and
    a module cache a million, and most users of a manifest look at none of them. `Entry` is a
    row as people and other modules see it.

    Rows are sorted by path, as bytes; a directory stands before what is in it. The first row,
    with the empty path, is the top directory itself. The contents of a file are chunks, by
    their numbers in the generation's index; its size is their sum. A hard link names the row
    that has the contents.

    A tree's digest names its contents: paths, kinds, modes, owners, times, targets, attributes
    and chunk digests; neither where chunks are kept nor when entries were last used.
"""

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from blake3 import blake3

from pipelines.caches.columns import ints, join, planes, split, strings, terminated
from pipelines.caches.errors import Damaged
from pipelines.caches.index import Index

__all__ = ["DIR", "FILE", "HARD", "LINK", "WHITEOUT", "Entry", "Kind", "Rows", "Xattrs"]

Kind = Literal["file", "dir", "link", "hard", "whiteout"]
Xattrs = tuple[tuple[bytes, bytes], ...]

KINDS: tuple[Kind, ...] = ("file", "dir", "link", "hard", "whiteout")
FILE, DIR, LINK, HARD, WHITEOUT = range(len(KINDS))

_COLUMNS = 11
_XATTR = struct.Struct("<III")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a tree; `path` is relative, its bytes that are not UTF-8 escaped (PEP 383).

    `digest` is the blake3 of a file's bytes if it is one chunk, else that of its chunks'
    digests: equal contents give equal digests. `used` is the number of the generation that
    used it last.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    digest: str
    chunks: tuple[int, ...]
    target: str
    xattrs: Xattrs
    used: int


@dataclass(slots=True)
class Rows:
    """A tree in columns; whoever has made one does not change it any more."""

    paths: list[bytes] = field(default_factory=list)
    kinds: bytearray = field(default_factory=bytearray)
    modes: "array[int]" = field(default_factory=lambda: array("H"))
    uids: "array[int]" = field(default_factory=lambda: array("I"))
    gids: "array[int]" = field(default_factory=lambda: array("I"))
    mtimes: "array[int]" = field(default_factory=lambda: array("q"))
    used: "array[int]" = field(default_factory=lambda: array("I"))
    counts: "array[int]" = field(default_factory=lambda: array("I"))
    refs: "array[int]" = field(default_factory=lambda: array("I"))
    targets: dict[int, bytes] = field(default_factory=dict)
    xattrs: dict[int, Xattrs] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def add(
        self,
        path: bytes,
        kind: int,
        mode: int,
        mtime: int,
        *,
        owner: tuple[int, int] = (0, 0),
        chunks: Sequence[int] = (),
        target: bytes = b"",
        xattrs: Xattrs = (),
        used: int = 0,
    ) -> None:
        """Append a row; rows come in order of their paths."""
        row = len(self.paths)
        self.paths.append(path)
        self.kinds.append(kind)
        self.modes.append(mode)
        self.uids.append(owner[0])
        self.gids.append(owner[1])
        self.mtimes.append(mtime)
        self.used.append(used)
        self.counts.append(len(chunks))
        self.refs.extend(chunks)
        if kind in (LINK, HARD):
            self.targets[row] = target
        if xattrs:
            self.xattrs[row] = xattrs

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Yield each row with the bounds of its chunks in `refs`."""
        at = 0
        for row, count in enumerate(self.counts):
            yield row, at, at + count
            at += count

    def entry(self, row: int, start: int, stop: int, index: Index) -> Entry:
        """Make the object of a row whose chunks are `refs[start:stop]`."""
        chunks = tuple(self.refs[start:stop])
        kind = KINDS[self.kinds[row]]
        target = self.targets.get(row, b"")
        size = sum(index.lengths[c] for c in chunks) if kind == "file" else len(target)
        return Entry(
            self.paths[row].decode(errors="surrogateescape"),
            kind,
            self.modes[row],
            self.uids[row],
            self.gids[row],
            self.mtimes[row],
            size,
            self.content(kind, chunks, index),
            chunks,
            target.decode(errors="surrogateescape"),
            self.xattrs.get(row, ()),
            self.used[row],
        )

    @staticmethod
    def content(kind: Kind, chunks: Sequence[int], index: Index) -> str:
        """Name a file's contents; nothing else has any."""
        if kind != "file":
            return ""
        if len(chunks) == 1:
            return index.digest(chunks[0]).hex()
        return blake3(b"".join(map(index.digest, chunks))).hexdigest()

    def size(self, index: Index) -> int:
        """Add up the bytes of all files."""
        lengths = index.lengths
        return sum(map(lengths.__getitem__, self.refs))

    def mapped(self, to: Mapping[int, int] | Sequence[int]) -> "Rows":
        """Give the same rows with other numbers for their chunks."""
        refs = array("I", map(to.__getitem__, self.refs))
        return Rows(
            self.paths, self.kinds, self.modes, self.uids, self.gids, self.mtimes, self.used,
            self.counts, refs, self.targets, self.xattrs,
        )  # fmt: skip

    def named(self, index: Index) -> str:
        """Give the tree's digest."""
        own = self._columns()
        chunks = b"".join(map(index.digest, self.refs))
        return blake3(join([*own[:6], *own[7:8], chunks, *own[9:]])).hexdigest()

    def encode(self) -> bytes:
        """Make a manifest's section of it."""
        return join(self._columns())

    def _columns(self) -> list[bytes]:
        return [
            terminated(self.paths),
            bytes(self.kinds),
            planes(self.modes),
            planes(self.uids),
            planes(self.gids),
            planes(self.mtimes),
            planes(self.used),
            planes(self.counts),
            planes(self.refs),
            terminated([self.targets[row] for row in sorted(self.targets)]),
            b"".join(
                _XATTR.pack(row, len(name), len(value)) + name + value
                for row in sorted(self.xattrs)
                for name, value in self.xattrs[row]
            ),
        ]

    @classmethod
    def decode(cls, block: bytes, index: Index) -> "Rows":
        """Read a manifest's section.

        Raises:
            Damaged: columns do not fit each other or the index.
        """
        columns = split(block, _COLUMNS)
        kinds = bytearray(columns[1])
        count = len(kinds)
        if kinds and max(kinds) >= len(KINDS):
            raise Damaged(f"an entry of the unknown kind {max(kinds)}")
        counts = ints(columns[7], "I", count)
        refs = ints(columns[8], "I", sum(counts))
        if refs and max(refs) >= len(index):
            raise Damaged(f"chunk {max(refs)} of {len(index)}")
        aimed = [row for row, kind in enumerate(kinds) if kind in (LINK, HARD)]
        return cls(
            strings(columns[0], count),
            kinds,
            ints(columns[2], "H", count),
            ints(columns[3], "I", count),
            ints(columns[4], "I", count),
            ints(columns[5], "q", count),
            ints(columns[6], "I", count),
            counts,
            refs,
            dict(zip(aimed, strings(columns[9], len(aimed)), strict=True)),
            _attributes(columns[10], count),
        )


def _attributes(column: bytes, count: int) -> dict[int, Xattrs]:
    found: dict[int, Xattrs] = {}
    at = 0
    while at < len(column):
        try:
            row, name, value = _XATTR.unpack_from(column, at)
        except struct.error as exc:
            raise Damaged("a column of attributes ends within one") from exc
        at += _XATTR.size
        if row >= count or name + value > len(column) - at:
            raise Damaged(f"an attribute of row {row} of {count} is beyond its column")
        pair = (column[at : at + name], column[at + name : at + name + value])
        found[row] = (*found.get(row, ()), pair)
        at += name + value
    return found
