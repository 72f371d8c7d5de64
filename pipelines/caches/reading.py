"""Reading the files of a tree in batches, for threads that do so at once."""

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pipelines.caches.cutting import HUGE, Piece, Unsteady, cut, streamed
from pipelines.caches.scan import Found, entered

__all__ = ["Batch", "Cut", "batches", "read", "stream"]

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
    """A file's pieces, or why there are none; None: it is huge and is to be streamed."""

    row: int
    pieces: Sequence[Piece] | None
    fault: str | None = None


def batches(rows: Iterable[tuple[int, Found]]) -> Iterator[Batch]:
    """Group files, in their order."""
    group: list[tuple[int, Found]] = []
    size = 0
    for number, row in rows:
        huge = row.size > HUGE or (group and group[-1][1].size > HUGE)
        if group and (huge or size + row.size > _BYTES or len(group) >= _FILES):
            yield Batch(group)
            group, size = [], 0
        group.append((number, row))
        size += row.size
    if group:
        yield Batch(group)


def stream(top: int, row: Found, known: Container[bytes]) -> Iterator[Piece]:
    """Read a huge file piece by piece.

    Raises:
        Unsteady: it changed meanwhile; what was made of it is of no use.
    """
    with entered(top, os.path.dirname(row.path)) as held:
        yield from streamed(row, held, known)


def read(top: int, batch: Batch, known: Container[bytes]) -> list[Cut]:
    """Read and cut a batch's files; what can not be read is said, not raised."""
    if batch.huge:
        return [Cut(batch.rows[0][0], None)]
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
