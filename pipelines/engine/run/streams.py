"""What a command prints: kept whole, scrubbed of secrets, passed on as it comes.

Theory of operation
    A command's stdout and stderr arrive as chunks in the order in which they were read. Each
    chunk goes through a scrubber, then into its own stream's spool and into the spool that
    keeps both in order (`combinedOutput`), and to whoever shows progress. A spool is memory
    up to a limit and a file after it, so one gigabyte of output costs no memory.

    What may be the beginning of a secret is held back until the next chunk (`scrub.py`).
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from pipelines.engine.digest import Digest
from pipelines.engine.scrub import Scrubber, patterns

__all__ = ["Blobs", "Scrubber", "Spool", "Streams", "patterns"]

IN_MEMORY = 64 * 1024
TAIL = 100 * 1024


class Blobs(Protocol):
    """Where finished output goes."""

    def put(self, data: bytes) -> Digest:
        """Store bytes."""
        ...

    def put_file(self, path: Path) -> Digest:
        """Move a file in."""
        ...


class Spool:
    """Bytes in memory up to a limit, in a file after it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: list[bytes] = []
        self._size = 0
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """Append."""
        self._size += len(data)
        if self._file is not None:
            self._file.write(data)
            return
        self._memory.append(data)
        if self._size > IN_MEMORY:
            self._file = self._path.open("w+b")
            self._file.writelines(self._memory)
            self._memory = []

    def tail(self, limit: int = TAIL) -> tuple[bytes, int]:
        """Give the last `limit` bytes, and how many were left out before them."""
        if self._file is None:
            data = b"".join(self._memory)
            return data[-limit:], max(0, len(data) - limit)
        start = max(0, self._size - limit)
        self._file.seek(start)
        data = self._file.read()
        self._file.seek(0, 2)
        return data, start

    def read(self) -> Iterable[bytes]:
        """Yield all of it in chunks."""
        if self._file is None:
            yield from self._memory
            return
        self._file.seek(0)
        while chunk := self._file.read(IN_MEMORY):
            yield chunk

    def store(self, blobs: Blobs) -> Digest:
        """Move the bytes into the store and close."""
        if self._file is None:
            return blobs.put(b"".join(self._memory))
        self._file.close()
        return blobs.put_file(self._path)

    def drop(self) -> None:
        """Throw the bytes away."""
        if self._file is not None:
            with suppress(OSError):  # on a full disk: what was not flushed is not wanted either
                self._file.close()
            self._path.unlink(missing_ok=True)


class Streams:
    """The three recordings of one exec.

    `place(name)` says where a recording goes that outgrows memory; `show(stream, data)` hears
    everything as it comes.
    """

    def __init__(
        self,
        place: Callable[[str], Path],
        hidden: tuple[bytes, ...],
        show: Callable[[str, bytes], None],
    ) -> None:
        self.stdout = Spool(place("stdout"))
        self.stderr = Spool(place("stderr"))
        self.combined = Spool(place("combined"))
        self._out = Scrubber(hidden)
        self._err = Scrubber(hidden)
        self._show = show

    def on_stdout(self, chunk: bytes) -> None:
        """Record a chunk of standard output."""
        self._keep("stdout", self.stdout, self._out.feed(chunk))

    def on_stderr(self, chunk: bytes) -> None:
        """Record a chunk of standard error."""
        self._keep("stderr", self.stderr, self._err.feed(chunk))

    def close(self) -> None:
        """Flush what the scrubbers hold."""
        self._keep("stdout", self.stdout, self._out.close())
        self._keep("stderr", self.stderr, self._err.close())

    def drop(self) -> None:
        """Throw the recordings away."""
        for spool in (self.stdout, self.stderr, self.combined):
            spool.drop()

    def _keep(self, name: str, spool: Spool, data: bytes) -> None:
        if data:
            spool.write(data)
            self.combined.write(data)
            self._show(name, data)
