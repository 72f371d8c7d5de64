"""New chunks made into frames and packs.

Frames are compressed by the pool while the next are filled; they are put into packs in the
order in which they were filled, so the same chunks in the same order make the same packs.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import NamedTuple

import zstandard
from blake3 import blake3

from pipelines.caches.index import MAGIC, Index, Pack

__all__ = ["FRAME", "PACK", "Packed", "Packer", "pack_size"]

FRAME = 1 << 20
PACK = 8 << 20
_LARGE, _LARGEST = 32 << 20, 128 << 20
_REQUESTS = 6  # packs of a generation that is saved at once
_AHEAD = 4


class Packed(NamedTuple):
    """A pack that is ready to be written."""

    pack: Pack
    content: bytes


class _Frame(NamedTuple):
    content: bytes
    raw: int
    seal: bytes


def pack_size(total: int) -> int:
    """Choose how large packs are for so many compressed bytes.

    Few requests restore a large tree, and a small change needs no large pack: 8 to 32 MiB,
    and more only where there would be more than six of 32 MiB.
    """
    share = total // _REQUESTS
    return max(PACK, min(share, _LARGE if share <= _LARGE else _LARGEST))


class Packer:
    """Puts chunks into an index and their bytes into packs."""

    def __init__(
        self,
        index: Index,
        pool: Executor,
        emit: Callable[[Packed], None],
        *,
        expected: int,
        level: int,
    ) -> None:
        self._index = index
        self._pool = pool
        self._emit = emit
        self._expected = expected  # bytes that may come, of which some may be known
        self._level = level
        self._seen = [0, 0]  # bytes that came, as they are and compressed
        self._open: list[bytes | memoryview] = []
        self._raw = 0
        self.first = len(index.homes)  # the number of the first new frame
        self._frame = self.first  # … and of the one that is being filled
        self._making: deque[Future[_Frame]] = deque()
        self._parts: list[_Frame] = []
        self._held = 0

    def add(self, digest: bytes, content: bytes | memoryview) -> int:
        """Take a chunk; give its number."""
        if self._raw and self._raw + len(content) > FRAME:
            self.close_frame()
        number = self._index.add_chunk(self._frame, self._raw, len(content), digest)
        self._open.append(content)
        self._raw += len(content)
        return number

    def adopt(self, content: bytes, raw: int, seal: bytes) -> int:
        """Take a frame as it is; give its number."""
        self.close_frame()
        done: Future[_Frame] = Future()
        done.set_result(_Frame(content, raw, seal))
        self._making.append(done)
        self._frame += 1
        self._collect(_AHEAD)
        return self._frame - 1

    def close(self) -> None:
        """Bring everything into packs."""
        self.close_frame()
        self._collect(0)
        self._close_pack()

    def close_frame(self) -> None:
        """End the frame: what comes next can be read without what came before."""
        if not self._open:
            return
        self._making.append(self._pool.submit(_compress, self._open, self._raw, self._level))
        self._open, self._raw = [], 0
        self._frame += 1
        self._collect(_AHEAD)

    def _collect(self, left: int) -> None:
        while len(self._making) > left:
            frame = self._making.popleft().result()
            self._seen = [self._seen[0] + frame.raw, self._seen[1] + len(frame.content)]
            if self._held and self._held + len(frame.content) > self._size():
                self._close_pack()
            self._parts.append(frame)
            self._held += len(frame.content)

    def _size(self) -> int:
        """Choose how large the pack is to be, from how well things compressed so far."""
        raw, size = self._seen
        return pack_size(self._expected * size // max(1, raw))

    def _close_pack(self) -> None:
        if not self._parts:
            return
        content = b"".join([MAGIC, *(frame.content for frame in self._parts)])
        pack = Pack(blake3(content).digest(), len(content))
        number = self._index.add_pack(pack)
        at = len(MAGIC)
        for frame in self._parts:
            self._index.add_frame(number, at, len(frame.content), frame.raw, frame.seal)
            at += len(frame.content)
        self._parts, self._held = [], 0
        self._emit(Packed(pack, content))


def _compress(parts: list[bytes | memoryview], raw: int, level: int) -> _Frame:
    content = zstandard.ZstdCompressor(level=level).compress(b"".join(parts))
    return _Frame(content, raw, blake3(content).digest())
