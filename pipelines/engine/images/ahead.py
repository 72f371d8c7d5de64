"""Read ahead: a stream is decompressed and digested in a thread of its own.

Decompression and digests give the interpreter's lock up, so that they cost a pull nothing but
a second core: the thread that unpacks finds the next pieces ready. At most `_DEPTH` pieces
wait. An error of the stream reaches whoever reads, in its place.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pipelines.engine.digest import Digest

__all__ = ["Ahead"]

_PIECE = 1 << 20
_DEPTH = 6
_LOOK = 0.2  # seconds between looks at whether anybody still waits


class Ahead:
    """A stream that is read ahead for the length of a `with` block."""

    def __init__(
        self,
        read: Callable[[int], bytes],
        alive: Callable[[], None] = lambda: None,
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep what is needed to begin.

        Args:
            read: gives at most n bytes, b"" at the end.
            alive: raises in the reader if nobody waits for it any more.
            interrupt: makes a `read` that waits raise.
        """
        self._read = read
        self._alive = alive
        self._interrupt = interrupt
        self._hash = hashlib.sha256()
        self._ready: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ahead")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if exc is not None and not isinstance(exc, Exception):
            self._interrupt()  # cancelled: do not wait for what still comes
        self._thread.join()

    @property
    def digest(self) -> Digest:
        """The digest of all that was read, once that is everything."""
        return Digest.of_hex(self._hash.hexdigest())

    def read(self, _count: int) -> bytes:
        """Give the next piece, b"" at the end; pieces are of at most 1 MiB."""
        with self._changed:
            while not self._ready:
                if self._error is not None:
                    raise self._error
                if not self._changed.wait(_LOOK):
                    self._alive()
            piece = self._ready[0]
            if piece:  # the end stays
                self._ready.popleft()
                self._changed.notify_all()
        return piece

    def _run(self) -> None:
        try:
            piece = b"?"
            while piece:
                piece = self._read(_PIECE)
                self._hash.update(piece)
                with self._changed:
                    while len(self._ready) >= _DEPTH and not self._stopped:
                        self._changed.wait()
                    if self._stopped:
                        return
                    self._ready.append(piece)
                    self._changed.notify_all()
        except BaseException as exc:  # noqa: BLE001 - handed to the reader
            with self._changed:
                self._error = exc
                self._changed.notify_all()
