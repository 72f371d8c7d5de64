"""What files looked like when their contents were known: who did not change is not read again.

A stamp is inode, change time, modification time and size. One as young as the map itself does
not count: a change within the same tick of the clock would not show (git's "racy" rule).
"""

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pipelines.caches.columns import ints, join, planes, split, strings, terminated
from pipelines.caches.errors import Damaged

__all__ = ["Seen", "Stamp"]

Stamp = tuple[int, int, int, int]

_TICK = 20_000_000  # ns: longer than a tick of any kernel's clock
_TAKEN = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class Seen:
    """The stamps of a tree's files, as the generation `base` has them, at the time `taken`."""

    base: str
    taken: int
    stamps: Mapping[bytes, Stamp]

    def same(self, path: bytes, stamp: Stamp) -> bool:
        """Whether the file surely is what it was."""
        return self.stamps.get(path) == stamp and self.older(stamp)

    def older(self, stamp: Stamp) -> bool:
        """Whether what has the stamp was as it is when the map was made."""
        return stamp[1] < self.taken - _TICK

    def dump(self) -> bytes:
        """Make bytes to be kept next to the tree."""
        paths = list(self.stamps)
        columns = [planes(array("q", (s[i] for s in self.stamps.values()))) for i in range(4)]
        return join([self.base.encode(), _TAKEN.pack(self.taken), terminated(paths), *columns])

    @classmethod
    def load(cls, content: bytes) -> Self:
        """Read what `dump` made.

        Raises:
            Damaged: it is something else.
        """
        base, taken, paths, *columns = split(content, 7)
        count = len(columns[0]) // 8
        numbers = [ints(column, "q", count) for column in columns]
        if len(taken) != _TAKEN.size:
            raise Damaged("a stat map without its time")
        stamps = dict(zip(strings(paths, count), zip(*numbers, strict=True), strict=True))
        return cls(base.decode(errors="replace"), _TAKEN.unpack(taken)[0], stamps)
