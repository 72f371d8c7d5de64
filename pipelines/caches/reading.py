"""Reading the files of a tree in batches, for threads that do so at once."""

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pipelines.caches.cutting import HUGE, Piece, Unsteady, cut
from pipelines.caches.scan import Found, entered

__all__ = ["Batch", "Cut", "batches", "read"]

_BYTES = 8 << 20
_FILES = 512


@dataclass(frozen=True, slots=True)
class Batch:
    """Files to be read by one thread; a huge one is alone."""

    rows: Sequence[tuple[int, Found]]

    @property
    def huge(self) -> bool:
        """Whether it is to be read piece by piece, not held in memory."""
        return self.rows[0][1].size > HUGE


@dataclass(frozen=True, slots=True)
class Cut:
    """A file's pieces, or why there are none."""

    row: int
    pieces: Sequence[Piece]
    fault: str | None = None


def batches(rows: Iterable[tuple[int, Found]]) -> Iterator[Batch]:
    """Group files, in their order."""
    group: list[tuple[int, Found]] = []
    size = 0
    for number, row in rows:
        if group and (size + row.size > _BYTES or len(group) >= _FILES):
            yield Batch(group)
            group, size = [], 0
        group.append((number, row))
        size += row.size
    if group:
        yield Batch(group)


def read(top: int, batch: Batch, known: Container[bytes]) -> list[Cut]:
    """Read and cut a batch's files; what can not be read is said, not raised."""
    done: list[Cut] = []
    with ExitStack() as stack:
        at: bytes | None = None
        held = top
        for number, row in batch.rows:
            try:
                if (parent := os.path.dirname(row.path)) != at:
                    stack.close()
                    at = None
                    held = stack.enter_context(entered(top, parent))
                    at = parent
                done.append(Cut(number, cut(row, held, known)))
            except Unsteady as exc:
                done.append(Cut(number, (), str(exc)))
            except OSError as exc:
                done.append(Cut(number, (), f"can not be read: {exc.strerror}"))
    return done
