"""Layers of images: fetched several at a time, read while they come, each once.

Theory of operation
    A download writes a nameless file and digests it as it goes. Whoever needs the blob reads
    that same file as far as it is written and then waits for more: a layer is unpacked while
    it is still on its way, and while the next ones are, too. When size and digest are right
    the file gets its name in the store; nothing else ever makes it visible, so a failure, a
    crash or a cancelled pull leaves nothing.

    What comes before the end may be wrong, so whoever reads must not publish what it made
    before the last read, which raises if the digest is not right.

Rules
    1. A connection that breaks goes on where it was (Range); a server without ranges is read
       from the beginning and what is there already is left out.
    2. A body that creeps (under `SLOWEST` bytes a second) counts as a connection that broke.
    3. One download a digest in this process, counted by its readers: when the last one leaves
       it is given up. One in all processes of a store: the others wait, and find the blob.
    4. Content that is not what its digest says is an error; `again=True` asks the registry
       itself, past its mirrors.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

from pipelines.engine.errors import Cancelled, RegistryMismatch, RegistryUnreachable
from pipelines.engine.images.blobs import BlobFile, ImageBlobs
from pipelines.engine.images.info import Layer
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.registry.client import Client, Repository
from pipelines.engine.images.registry.exclusion import Exclusion
from pipelines.engine.images.registry.retry import Attempts, Patience
from pipelines.engine.images.registry.transport import Response, TransportFault

__all__ = ["AT_ONCE", "SLOWEST", "RegistryBlobs"]

AT_ONCE = 4
SLOWEST = 1024
_WINDOW = 30.0
_PIECE = 1 << 18
_PROGRESS = 1 << 20
_LOOK = 0.2  # seconds between looks at whether anybody still waits
_PARTIAL = 206


class Abandoned(Cancelled):
    """Nobody waits for a download any more."""


class Download:
    """One blob on its way; see the module."""

    def __init__(self, repository: Repository, layer: Layer, *, origin: bool) -> None:
        self.repository = repository
        self.layer = layer
        self.origin = origin
        self.users = 0
        self.file: BlobFile | None = None
        self.place: Path | None = None  # instead, when another process was first
        self.answer: Response | None = None
        self.written = 0
        self.done = False
        self.error: Exception | None = None
        self.changed = threading.Condition()
        self.given_up = threading.Event()

    def tell(self, **fields: Any) -> None:
        """Change what readers see."""
        with self.changed:
            for name, value in fields.items():
                setattr(self, name, value)
            self.changed.notify_all()

    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.done or self.error is not None

    def release(self) -> None:
        """Close the file when neither writer nor readers are left."""
        with self.changed:
            if self.ended() and not self.users and self.file is not None:
                self.file.close()


class RegistryBlobs:
    """Fetches layers; one per session, safe for threads."""

    def __init__(
        self,
        client: Client,
        blobs: ImageBlobs,
        patience: Patience | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._patience = patience or Patience()
        self._alive = alive
        self._exclusion = Exclusion(blobs.root / "pulling")
        self._flights: dict[tuple[str, bool], Download] = {}
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Give up every download."""
        with self._lock:
            flights, pool = list(self._flights.values()), self._pool
        for flight in flights:
            flight.given_up.set()
            flight.tell(error=flight.error or Abandoned("the session is ending"))
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def fetching(
        self, reference: str, layers: Sequence[Layer], *, again: bool = False
    ) -> Iterator[Callable[[Layer], BinaryIO]]:
        """Begin to fetch what is missing; give a function that opens a layer for reading.

        Args:
            reference: the image, with its registry.
            layers: in the order in which they will be read.
            again: what came before was wrong.
        """
        ref = Reference.parse(reference)
        where = Repository(ref.host, ref.name)
        begun: dict[str, Download] = {}
        try:
            for layer in layers:
                if layer.blob not in begun and not self._blobs.has(layer.blob):
                    begun[layer.blob] = self._begin(where, layer, origin=again)
            yield lambda layer: self._open(layer, begun)
        finally:
            for download in begun.values():
                self._leave(download)

    def _open(self, layer: Layer, begun: dict[str, Download]) -> BinaryIO:
        if (download := begun.get(layer.blob)) is None:
            return self._blobs.open(layer.blob)
        return cast("BinaryIO", _Coming(download, self._alive))

    def _begin(self, where: Repository, layer: Layer, *, origin: bool) -> Download:
        with self._lock:
            key = (layer.blob, origin)
            download = self._flights.get(key)
            if download is None or download.ended() or download.given_up.is_set():
                download = self._flights[key] = Download(where, layer, origin=origin)
                download.users = 1  # before it runs: it may be over at once
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(AT_ONCE, "pull")
                self._pool.submit(self._run, download)
            else:
                download.users += 1
        return download

    def _leave(self, download: Download) -> None:
        with self._lock:
            download.users -= 1
            if download.users:
                return
            key = (download.layer.blob, download.origin)
            if self._flights.get(key) is download:
                del self._flights[key]
        download.given_up.set()
        if (answer := download.answer) is not None:
            answer.abort()
        download.release()

    def _run(self, download: Download) -> None:
        try:
            with self._exclusion.held(download.layer.blob, download.given_up):
                self._fetch(download)
        except Exception as exc:  # noqa: BLE001 - handed to the readers
            download.tell(error=exc)
        else:
            download.tell(done=True)
        finally:
            download.release()

    def _fetch(self, download: Download) -> None:
        if download.given_up.is_set():
            raise Abandoned
        if self._blobs.has(download.layer.blob):  # another process was first
            download.tell(place=self._blobs.path(download.layer.blob), written=download.layer.size)
            return
        file = self._blobs.create()
        download.tell(file=file)
        attempts = Attempts(self._waiting(download))
        while download.written < download.layer.size:
            self._attempt(download, attempts)
        if file.digest != download.layer.blob:
            raise _mismatch(download, f"bytes that digest to {file.digest}")
        file.publish()

    def _attempt(self, download: Download, attempts: Attempts) -> None:
        """Read one answer; if it breaks off, wait for the next attempt."""
        before, size = download.written, download.layer.size
        try:
            self._some(download)
        except TransportFault as fault:
            if download.given_up.is_set():
                raise Abandoned from fault
            if download.written - before >= _PROGRESS:
                attempts.progressed()
            if not attempts.again_after_fault(fault, loopback=False):
                raise _gave_up(download, fault) from fault
        else:
            if download.written < size:
                raise _mismatch(download, f"{download.written} bytes instead of {size}")

    def _waiting(self, download: Download) -> Patience:
        """Be as patient as the session, but not when nobody waits any more."""
        own = self._patience

        def sleep(seconds: float) -> None:
            own.sleep(seconds)
            if download.given_up.is_set():
                raise Abandoned

        return replace(own, sleep=sleep)

    def _some(self, download: Download) -> None:
        """Read one answer, as far as it goes."""
        start = download.written
        headers = {"range": f"bytes={start}-"} if start else {}
        path = f"blobs/{download.layer.blob}"
        with self._client.request(
            download.repository, "GET", path, headers=headers, origin=download.origin
        ) as answer:
            download.answer = answer
            left_out = 0 if _resumes(answer, start) else start
            pace = _Pace(self._patience.now)
            while piece := answer.read(_PIECE):
                if download.given_up.is_set():
                    raise Abandoned
                pace.count(len(piece))
                skipped = min(left_out, len(piece))
                left_out -= skipped
                self._take(download, piece[skipped:] if skipped else piece)

    def _take(self, download: Download, piece: bytes) -> None:
        assert download.file is not None
        if download.written + len(piece) > download.layer.size:
            raise _mismatch(download, f"more than the {download.layer.size} bytes announced")
        download.file.write(piece)
        download.tell(written=download.written + len(piece))


class _Pace:
    """Watches that a body does not creep."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since = now()
        self._came = 0

    def count(self, size: int) -> None:
        self._came += size
        passed = self._now() - self._since
        if passed >= _WINDOW:
            if self._came < SLOWEST * passed:
                raise TransportFault("timeout", f"{self._came} bytes in {passed:.0f} s, too slow")
            self._since, self._came = self._now(), 0


class _Coming(RawIOBase):
    """Reads a download while it comes."""

    def __init__(self, download: Download, alive: Callable[[], None]) -> None:
        self._download = download
        self._alive = alive
        self._at = 0
        self._own = -1
        self._interrupted = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        assert whence == os.SEEK_SET
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        it = self._download
        with it.changed:
            while it.written <= self._at and not it.ended():
                self._wait()
            if it.error is not None:
                raise it.error
            have = it.written - self._at
            # The last bytes are given only when they are known to be right.
            if it.written == it.layer.size:
                while not it.ended():
                    self._wait()
                if it.error is not None:
                    raise it.error
        if have <= 0:
            return b""
        piece = os.pread(self._descriptor(), have if size < 0 else min(size, have), self._at)
        self._at += len(piece)
        return piece

    def interrupt(self) -> None:
        """Make a read that waits in another thread raise."""
        with self._download.changed:
            self._interrupted = True
            self._download.changed.notify_all()

    def _wait(self) -> None:
        self._download.changed.wait(_LOOK)
        self._alive()
        if self._interrupted:
            raise Abandoned("nobody waits for this layer any more")

    def _descriptor(self) -> int:
        if self._own < 0 and self._download.place is not None:
            self._own = os.open(self._download.place, os.O_RDONLY | os.O_CLOEXEC)
        if self._own >= 0:
            return self._own
        assert self._download.file is not None
        return self._download.file.descriptor

    def close(self) -> None:
        if self._own >= 0:
            os.close(self._own)
            self._own = -1
        super().close()


def _resumes(answer: Response, start: int) -> bool:
    """Tell whether an answer goes on where it should."""
    told = answer.headers.get("content-range", "")
    return answer.status == _PARTIAL and told.startswith(f"bytes {start}-")


def _gave_up(download: Download, fault: TransportFault) -> RegistryUnreachable:
    layer = download.layer
    return RegistryUnreachable(
        f"registry {download.repository.host}: GET blobs/{layer.blob} of {download.repository}: "
        f"{fault}, after {download.written} of {layer.size} bytes and several attempts; check the "
        "network, and proxies before it"
    )


def _mismatch(download: Download, what: str) -> RegistryMismatch:
    return RegistryMismatch(
        f"registry {download.repository.host}: layer {download.layer.blob} of "
        f"{download.repository}: it sent {what}; it, or a proxy or mirror before it, is damaged. "
        "Nothing was kept"
    )
