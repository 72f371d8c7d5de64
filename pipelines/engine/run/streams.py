"""What a command prints: kept whole, scrubbed of secrets, passed on as it comes.

Theory of operation
    A command's stdout and stderr arrive as chunks in the order in which they were read. Each
    chunk goes through a scrubber, then into its own stream's spool and into the spool that
    keeps both in order (`combinedOutput`), and to whoever shows progress. A spool is memory
    up to a limit and a file after it, so one gigabyte of output costs no memory.

    A secret may be split across chunks: the scrubber holds back the longest tail that could
    be the beginning of one of its patterns, and lets it go with the next chunk or at the end.
    Besides the value itself its base64 and URL-encoded spellings are patterns. Values shorter
    than four bytes are not scrubbed: they would blank the output and hide nothing.
"""

import base64
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote_from_bytes

from pipelines.engine.digest import Digest

__all__ = ["Blobs", "Scrubber", "Spool", "Streams", "patterns"]

IN_MEMORY = 64 * 1024
TAIL = 100 * 1024
SHORTEST = 4
MASK = b"***"


class Blobs(Protocol):
    """Where finished output goes."""

    def put(self, data: bytes) -> Digest:
        """Store bytes."""
        ...

    def put_file(self, path: Path) -> Digest:
        """Move a file in."""
        ...


def patterns(secrets: Iterable[bytes]) -> tuple[bytes, ...]:
    """List every spelling of the secrets that must not be seen, longest first."""
    found: set[bytes] = set()
    for value in secrets:
        for text in {value, value.strip(), *value.splitlines()}:
            if len(text) >= SHORTEST:
                found |= {text, *_base64(text), quote_from_bytes(text, safe="").encode()}
    return tuple(sorted(found, key=len, reverse=True))


def _base64(text: bytes) -> set[bytes]:
    """Spell a value in base64 at each of the three alignments, without the shared edges."""
    spelled: set[bytes] = {base64.b64encode(text).rstrip(b"=")}
    for pad in range(3):
        body = base64.b64encode(b"\0" * pad + text)
        lead = (pad * 8 + 5) // 6
        keep = (pad + len(text)) * 8 // 6
        if keep - lead >= 8:  # noqa: PLR2004 - shorter runs of base64 are everywhere
            spelled.add(body[lead:keep])
    return {s for s in spelled if len(s) >= SHORTEST}


class Scrubber:
    """Replaces secrets in a stream of chunks by `***`."""

    def __init__(self, hidden: tuple[bytes, ...]) -> None:
        self._hidden = hidden
        self._find = re.compile(b"|".join(map(re.escape, hidden))) if hidden else None
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk, give what can be shown by now."""
        if self._find is None:
            return chunk
        text = self._find.sub(MASK, self._held + chunk)
        keep = self._undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def close(self) -> bytes:
        """Give what was held back."""
        held, self._held = self._held, b""
        return held

    def _undecided(self, text: bytes) -> int:
        """Count the bytes at the end that may yet become a secret."""
        longest = min(len(text), max(map(len, self._hidden)) - 1)
        for size in range(longest, 0, -1):
            tail = text[len(text) - size :]
            if any(h.startswith(tail) for h in self._hidden):
                return size
        return 0


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
