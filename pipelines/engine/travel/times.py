"""When files came in first, on whichever machine that was.

Tools that go by modification times (Go's test cache, make, cargo) take a file for unchanged if its
time is the one that they have written down, which a fresh checkout on a fresh machine breaks for
every file. So times travel with the results: content that a machine of the cache has seen gets the
time that it had there, content that is new gets now, as in a store of one's own (`store.files`).
A time derived from the content would not do: changed content could be older than what was made of
it.

They are one tree, `times`, with one file of that name: rows of 24 bytes, sorted,

    16 bytes    the first of the sha-256 of `<content>-<mode>`, both as in a file's name
     8 bytes    nanoseconds since the epoch, big endian

of the files that runs gave to commands, at most `MOST`, the newest. It is fetched beside the
session; a time of the future is not believed, and what does not come is now.
"""

import hashlib
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from pipelines.engine.store.files import Files
from pipelines.engine.travel.aside import patient
from pipelines.engine.tree import Entry

__all__ = ["MOST", "NAME", "Times", "decode", "encode"]

NAME = "times"
MOST = 100_000
PATIENCE = 3.0  # seconds that the first new file waits for what other machines know

_ROW = struct.Struct(">16sQ")


def encode(times: dict[bytes, int]) -> bytes:
    """Write times by short name; of too many, the newest."""
    kept = sorted(times.items(), key=lambda row: row[1])[-MOST:]
    return b"".join(_ROW.pack(name, when) for name, when in sorted(kept))


def decode(content: bytes) -> dict[bytes, int]:
    """Read times by short name.

    Raises:
        ValueError: not whole rows.
    """
    if len(content) % _ROW.size:
        raise ValueError(f"{len(content)} bytes are no rows of {_ROW.size}")
    return dict(_ROW.iter_unpack(content))


class Times:
    """The times of one session's files; safe for threads. See `store.files.Times`."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._coming: Future[bytes] | None = None
        self._known: dict[bytes, int] = {}
        self._met: dict[Entry, None] = {}

    def coming(self, content: "Future[bytes]") -> None:
        """Say what will have the times of other machines."""
        self._coming = content

    def of(self, entry: Entry) -> int | None:
        """Tell when a file came in first (ns); None if no other machine had it."""
        when = self._all().get(_short(entry))
        return when if when is not None and when <= time.time_ns() else None

    def met(self, entry: Entry) -> None:
        """Hear that a command is given a file."""
        self._met[entry] = None

    def save(self, place: Path) -> bool:
        """Write the times that are to travel into a directory; False if nothing is new."""
        known = self._all()
        found = {**known, **dict(self._seen())}
        if found == known:
            return False
        (place / NAME).write_bytes(encode(found))
        return True

    def _seen(self) -> Iterator[tuple[bytes, int]]:
        for entry in list(self._met):
            with suppress(OSError):
                yield _short(entry), self._files.path(entry).stat().st_mtime_ns

    def _all(self) -> dict[bytes, int]:
        with self._lock:
            coming, self._coming = self._coming, None
            if coming is not None:
                with suppress(Exception):  # what does not come is not known
                    self._known = decode(patient(coming, PATIENCE) or b"")
            return self._known


def _short(entry: Entry) -> bytes:
    return hashlib.sha256(f"{entry.content}-{entry.mode:o}".encode()).digest()[:16]
