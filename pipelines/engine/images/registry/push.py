"""Push images: what the registry has stays, what it has not goes up, references come last.

Theory of operation
    1. Every blob is asked for with HEAD, all at once. Of an image that is there already,
       nothing else is sent than these and one HEAD for each manifest.
    2. A missing blob that came from another repository of the same registry is mounted from
       there; 202 says that the registry would rather have the bytes, and so does any refusal.
    3. Layers go up before configs, configs before manifests, the index last: a registry refuses
       what refers to nothing, and a push that dies leaves no reference to half an image.
    4. A small blob is one PUT. A large one is PATCHed in chunks that pass the proxies before
       registries, and goes on where the registry says that it is; a registry that does
       not like chunks gets the whole blob as one PUT.
    5. An upload that breaks is started anew: its old place knows how much of it had come, and
       a second PUT there would be wrong. How often is `retry`'s to say.

Sources: OCI distribution-spec, "Push"; its quirks from containers/image, go-containerregistry
and skopeo#1101 (chunks refused).
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pipelines.engine.digest import Digest
from pipelines.engine.errors import Cancelled, RegistryError, RegistryMismatch
from pipelines.engine.images.registry.auth import scope
from pipelines.engine.images.registry.client import Client, Repository
from pipelines.engine.images.registry.retry import Attempts, Patience
from pipelines.engine.images.registry.transport import Body, Response, TransportFault

__all__ = ["Document", "Outbound", "Pusher"]

CHUNK = 64 << 20
_PIECE = 1 << 18
_AT_ONCE = 4
_MISSING = 404
_CREATED = 201
_DISLIKES = frozenset({400, 404, 405, 411, 415, 416, 501})  # of a first chunk: for being one
_STALE = frozenset({"BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "RANGE_INVALID"})
_ANEW = 503  # an upload that the registry has lost: the next one may not be
_OCTETS = {"content-type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")

How = Literal["kept", "mounted", "sent"]


@dataclass(frozen=True, slots=True)
class Outbound:
    """A blob to push; `place` brings it here if need be, `origin` is where it came from."""

    digest: Digest
    size: int
    place: Callable[[], Path]
    origin: Repository | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index to push, under its digest or under tags."""

    media_type: str
    digest: Digest
    content: bytes
    names: tuple[str, ...]


@dataclass(slots=True)
class Pusher:
    """Pushes to one repository; `ended` set ends it soon.

    `chunk` is the size in bytes up to which a blob is one request.
    """

    client: Client
    repository: Repository
    patience: Patience = field(default_factory=Patience)
    ended: threading.Event = field(default_factory=threading.Event)
    chunk: int = CHUNK

    def push(
        self,
        layers: Sequence[Outbound],
        configs: Sequence[Outbound],
        documents: Sequence[Document],
    ) -> dict[Digest, How]:
        """Push blobs, then documents in their order; tell what was done for each blob.

        Raises:
            RegistryError: the registry refuses, or fails too often. Cancelled: `ended` was set.
        """
        done: dict[Digest, How] = {}
        with ThreadPoolExecutor(_AT_ONCE, "push") as pool:
            blobs = {blob.digest: blob for blob in (*layers, *configs)}
            there = dict(zip(blobs, pool.map(self._has, blobs), strict=True))
            done |= {digest: "kept" for digest, kept in there.items() if kept}
            for wave in (layers, configs):
                missing = {b.digest: b for b in wave if b.digest not in done}
                done |= dict(zip(missing, self._all(pool, missing.values()), strict=True))
        for document in documents:
            for name in document.names:
                self._document(document, name)
        return done

    def _all(self, pool: ThreadPoolExecutor, blobs: Iterable[Outbound]) -> list[How]:
        """Send several at once; the first that fails ends the others."""
        running = [pool.submit(self._blob, blob) for blob in blobs]
        done, waiting = wait(running, return_when=FIRST_EXCEPTION)
        failed = [exc for each in done if (exc := each.exception()) is not None]
        if failed:
            self.ended.set()
            for each in waiting:
                each.cancel()
            raise failed[0]
        return [each.result() for each in running]

    # --- blobs ----------------------------------------------------------------------------

    def _has(self, digest: Digest) -> bool:
        with self._ask("HEAD", f"blobs/{digest}", accept=(_MISSING,)) as answer:
            return answer.status != _MISSING

    def _blob(self, blob: Outbound) -> How:
        """Mount a blob or send it, as often as it takes."""
        location = self._mount(blob) if blob.origin not in {None, self.repository} else ""
        if location is None:
            return "mounted"
        attempts = Attempts(self.patience)
        send = self._whole if blob.size <= self.chunk else self._in_chunks
        while True:
            try:
                send(blob, location or self._start())
            except _NoChunksError:
                send = self._whole
            except RegistryError as exc:
                if self.ended.is_set() or not _again(attempts, exc):
                    raise
            else:
                return "sent"
            location = ""

    def _mount(self, blob: Outbound) -> str | None:
        """Take a blob over from its repository; None if that is done, else where to send it."""
        assert blob.origin is not None
        query = f"mount={blob.digest}&from={quote(blob.origin.path, safe='')}"
        more = (scope(blob.origin.path, "pull"),)
        try:
            with self._ask("POST", f"blobs/uploads/?{query}", scopes=more) as answer:
                if answer.status == _CREATED:
                    return None
                return answer.headers.get("location", "")
        except RegistryError:  # whatever it dislikes about mounting, it may like the bytes
            return ""

    def _start(self) -> str:
        """Begin an upload; give where it goes on."""
        with self._ask("POST", "blobs/uploads/") as answer:
            return self._location(answer, "POST blobs/uploads/")

    def _location(self, answer: Response, what: str) -> str:
        location = answer.headers.get("location", "")
        if not location:
            raise RegistryError(
                f"registry {self.repository.host}: {what} of {self.repository}: it answers "
                f"{answer.status} without a Location; this is no registry, or a proxy before it "
                "takes the header away",
                answer.status,
            )
        return location

    def _whole(self, blob: Outbound, location: str) -> None:
        """Send a blob as one request."""
        path = blob.place()
        body = Body(blob.size, lambda: self._pieces(path, 0, blob.size))
        self._finish(blob, location, body)

    def _finish(self, blob: Outbound, location: str, body: Body) -> None:
        mark = "&" if "?" in location else "?"
        url = f"{location}{mark}digest={quote(blob.digest, safe='')}"
        self._ask("PUT", url=url, body=body, headers=_OCTETS, retries=False).close()

    def _in_chunks(self, blob: Outbound, location: str) -> None:
        """Send a blob in several requests, and go on where one broke."""
        path, done, attempts = blob.place(), 0, Attempts(self.patience)
        while done < blob.size:
            until = min(done + self.chunk, blob.size)
            try:
                location, done = self._chunk(path, location, done, until)
                attempts.progressed()
            except RegistryError as exc:
                if exc.status in _DISLIKES and not done:
                    raise _NoChunksError from exc
                if self.ended.is_set() or not _again(attempts, exc):
                    raise
                location, done = self._resumed(location, exc)
        self._finish(blob, location, Body.of(b""))

    def _chunk(self, path: Path, location: str, start: int, until: int) -> tuple[str, int]:
        """Send one chunk; give where the next goes, and from which byte."""
        headers = {**_OCTETS, "content-range": f"{start}-{until - 1}"}
        body = Body(until - start, lambda: self._pieces(path, start, until))
        with self._ask("PATCH", url=location, body=body, headers=headers, retries=False) as answer:
            received = _received(answer, until)
            if received <= start:  # it says yes and keeps nothing
                raise _NoChunksError
            return self._location(answer, "PATCH"), received

    def _resumed(self, location: str, because: RegistryError) -> tuple[str, int]:
        """Ask how much of an upload has come.

        Raises:
            RegistryError: `because`, if the registry does not know any more.
        """
        with suppress(RegistryError):
            with self._ask("GET", url=location) as answer:
                return answer.headers.get("location") or location, _received(answer, 0)
        raise because

    def _pieces(self, path: Path, start: int, until: int) -> Iterator[bytes]:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            left = until - start
            while left and (piece := file.read(min(left, _PIECE))):
                if self.ended.is_set():
                    raise Cancelled("the push was cancelled")
                left -= len(piece)
                yield piece

    # --- documents ------------------------------------------------------------------------

    def _document(self, it: Document, name: str) -> None:
        """Put a manifest or index under a name, unless it is there."""
        accept = {"accept": it.media_type}
        path = f"manifests/{name}"
        with self._ask("HEAD", path, headers=accept, accept=(_MISSING,)) as answer:
            told = answer.headers.get("docker-content-digest", "")
            if answer.status != _MISSING and told == it.digest:
                return
        kind = {"content-type": it.media_type}
        with self._ask("PUT", path, headers=kind, body=Body.of(it.content)) as answer:
            told = answer.headers.get("docker-content-digest", it.digest)
        if told != it.digest:
            raise RegistryMismatch(
                f"registry {self.repository.host}: PUT {path} of {self.repository}: it keeps the "
                f"manifest as {told}, and {it.digest} was sent; the registry changes what it is "
                "given, so nobody can pull what was built"
            )

    def _ask(self, method: str, path: str = "", **options: object) -> Response:
        if self.ended.is_set():
            raise Cancelled("the push was cancelled")
        request = partial(self.client.request, self.repository, method, path, write=True)
        return request(**options)  # type: ignore[arg-type]  # the client's own options


class _NoChunksError(Exception):
    """The registry does not take a blob in chunks."""


def _again(attempts: Attempts, exc: RegistryError) -> bool:
    """Wait and tell whether to try again what failed without a second try."""
    if isinstance(fault := exc.__cause__, TransportFault):
        return attempts.again_after_fault(fault, loopback=False)
    return attempts.again_after_status(_ANEW if _STALE & {*exc.codes} else exc.status, {})


def _received(answer: Response, otherwise: int) -> int:
    """Read how many bytes have come: `Range: 0-99` are 100, and 0-0 may be none."""
    found = _RANGE.fullmatch(answer.headers.get("range", "").strip())
    if found is None:
        return otherwise
    last = int(found[1])
    return last + 1 if last else 0
