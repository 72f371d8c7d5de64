"""Downloads: pinned by the digest of their body, once a session; kept as files of the store.

Theory of operation
    1. With a checksum whose bytes the store has, nobody is asked.
    2. Otherwise the server is: if the address is known, only whether it has something else
       (`ETag`, `Last-Modified`). A session asks once.
    3. A body goes to a scratch file while it is hashed. If the connection breaks and the
       server names its bytes by a strong ETag, the rest is asked for (`Range`, `If-Range`);
       otherwise all of it again. Faults, 408, 429 and 5xx are tried again by the registry's
       table, `Retry-After` included.
    4. Only a whole body of the right digest becomes a file of the store, then the validators
       are noted. A crash between the two costs one download.
    Everything here blocks, in a thread; a cancelled download is abandoned with its connection.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import new, sha256
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import anyio
from anyio import to_thread

from pipelines.engine.digest import digest_json
from pipelines.engine.errors import ContentMissing, SourceError, SourceUnreachable
from pipelines.engine.images.registry.retry import Attempts, Patience
from pipelines.engine.images.registry.transport import (
    Http,
    Request,
    Response,
    TransportFault,
    is_loopback,
)
from pipelines.engine.names import web
from pipelines.engine.names.web import Checksum, Validators
from pipelines.engine.op import HttpFile, HttpSource
from pipelines.engine.store.full import full
from pipelines.engine.store.mirrors import Download, Downloads
from pipelines.engine.tree import Entry, Tree

__all__ = ["Bodies", "HttpSources"]

_PIECE = 1 << 18
_MODE = 0o600
_NOT_MODIFIED = 304
_PARTIAL = 206
_BAD_RANGE = 416
_OK = 200


class Bodies(Protocol):
    """Where bodies are kept (`store.files.Files`)."""

    def find(self, content: str) -> Path | None:
        """Say where content (hex) is, if it is."""
        ...

    def adopt(self, path: Path, entry: Entry) -> Path:
        """Take in a finished file."""
        ...

    def ensure(self, entry: Entry) -> Path:
        """Give the entry's file, made from another of the same content if need be."""
        ...


@dataclass(slots=True)
class _Partial:
    """A body on its way."""

    path: Path
    size: int = 0
    validators: Validators = field(default_factory=Validators)
    digests: list[Any] = field(default_factory=list)
    checksum: Checksum | None = None

    def restart(self) -> None:
        """Forget what came so far."""
        self.size = 0
        self.digests = [
            sha256(),
            *([new(self.checksum.algorithm)] if self.checksum is not None else []),
        ]

    def receive(self, answer: Response) -> None:
        """Append what an answer holds."""
        with self.path.open("ab" if self.size else "wb") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)
                for digest in self.digests:
                    digest.update(piece)
                self.size += len(piece)
                file.flush()


@dataclass(slots=True)
class HttpSources:
    """The downloads of one session."""

    http: Http
    files: Bodies
    downloads: Downloads
    scratch: Path
    patience: Patience = field(default_factory=Patience)
    _pinned: dict[HttpSource, tuple[str, int]] = field(default_factory=dict, init=False)
    _locks: dict[HttpSource, anyio.Lock] = field(default_factory=dict, init=False)
    _count: Callable[[], int] = field(default_factory=lambda: count().__next__, init=False)

    async def body(self, source: HttpSource) -> tuple[str, int]:
        """Pin a download: the hex sha-256 and size of its body.

        Raises:
            SourceError: it can not be had, or is not what the checksum says.
        """
        async with self._locks.setdefault(source, anyio.Lock()):
            known = self._pinned.get(source)
            if known is None:
                known = await to_thread.run_sync(self._pin, source, abandon_on_cancel=True)
                self._pinned[source] = known
        return known

    async def file(self, op: HttpFile) -> Tree:
        """Give the file that was pinned; a body that is gone is downloaded again."""
        entry = Entry("file", op.mode, op.size, op.body)
        try:
            await to_thread.run_sync(self.files.ensure, entry)
        except ContentMissing:
            if op.source is None:
                raise
            found, _ = await to_thread.run_sync(self._pin, op.source, abandon_on_cancel=True)
            if found != op.body:
                raise SourceError(
                    f"http: {web.shown(op.source.url)} gave sha256:{found}, and sha256:{op.body} "
                    "when it was pinned; run again"
                ) from None
            await to_thread.run_sync(self.files.ensure, entry)
        return Tree({op.name: entry})

    def _pin(self, source: HttpSource) -> tuple[str, int]:
        checksum = Checksum.parse(source.checksum) if source.checksum else None
        if (found := self._had(checksum)) is not None:
            return found
        header = source.header.value().decode("utf-8", "replace").strip() if source.header else ""
        name = digest_json(["http", source.url, source.header.name if source.header else ""]).hex
        known = self.downloads.get(name)
        if known is not None and self.files.find(known.content) is None:
            known = None
        if checksum is not None or source.service is not None:
            known = None  # what is asked for is not what is there: no use in asking whether it is
        with full(f"download {web.shown(source.url)}"), self._partial(checksum) as partial:
            if not self._fetch(source, header, known, partial):
                assert known is not None
                return known.content, known.size
            return self._keep(source, name, partial)

    def _had(self, checksum: Checksum | None) -> tuple[str, int] | None:
        """Look whether the store has what a checksum asks for."""
        if checksum is None or checksum.algorithm != "sha256":
            return None
        found = self.files.find(checksum.hex)
        return (checksum.hex, found.stat().st_size) if found is not None else None

    def _keep(self, source: HttpSource, name: str, partial: _Partial) -> tuple[str, int]:
        """Make a whole body a file of the store, if it is what it should be."""
        content = partial.digests[0].hexdigest()
        if partial.checksum is not None:
            partial.checksum.check(partial.digests[1].hexdigest(), source.url)
        self.files.adopt(partial.path, Entry("file", _MODE, partial.size, content))
        seen = partial.validators
        shown = web.shown(source.url)
        self.downloads.put(name, Download(shown, content, partial.size, seen.etag, seen.modified))
        return content, partial.size

    @contextmanager
    def _partial(self, checksum: Checksum | None) -> Iterator[_Partial]:
        self.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = _Partial(self.scratch / f"body-{self._count()}", checksum=checksum)
        os.close(os.open(partial.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
        try:
            partial.restart()
            yield partial
        finally:
            partial.path.unlink(missing_ok=True)

    def _fetch(
        self, source: HttpSource, header: str, known: Download | None, partial: _Partial
    ) -> bool:
        """Receive a body whole; False if what is known is still what there is."""
        url = source.url
        attempts = Attempts(self.patience)
        condition = Validators(known.etag, known.modified) if known is not None else None
        while True:
            before = partial.size
            try:
                with self._hops(source, header, condition, partial) as (at, answer):
                    if answer.status == _NOT_MODIFIED and known is not None:
                        return False
                    if answer.status in {_OK, _PARTIAL}:
                        self._take(partial, answer)
                        return True
                    if answer.status == _BAD_RANGE and partial.size:
                        partial.restart()
                        partial.validators = Validators()
                        continue
                    if not attempts.again_after_status(answer.status, answer.headers):
                        sent = bool(header) and web.origin(at) == web.origin(url)
                        raise web.explain(at, answer.status, authorized=sent)
            except TransportFault as fault:
                if partial.size > before:
                    attempts.progressed()
                loopback = is_loopback(web.origin(url)[1])
                if not attempts.again_after_fault(fault, loopback=loopback):
                    raise SourceUnreachable(
                        f"http: {web.shown(url)} can not be had: {fault}; check the network, the "
                        "proxy and the address, or give its checksum: what is cached needs nobody"
                    ) from fault

    @contextmanager
    def _hops(
        self, source: HttpSource, header: str, condition: Validators | None, partial: _Partial
    ) -> Iterator[tuple[str, Response]]:
        """Follow redirects to the answer that is one."""
        resuming = partial.size if partial.validators.strong else 0
        at = url = source.url
        for _ in range(web.REDIRECTS + 1):
            own = web.origin(at) == web.origin(url)
            allowed = header if own else ""
            headers = web.ask(partial.validators if resuming else condition, allowed, resuming)
            dialled, headers = web.through(source.via if own else "", at, headers)
            with self.http.send(Request("GET", dialled, headers)) as answer:
                target = web.next_hop(at, answer.status, answer.headers)
                if target is None:
                    yield at, answer
                    return
            at = target
        raise SourceError(
            f"http: {web.shown(url)} redirects more than {web.REDIRECTS} times, at last to "
            f"{web.shown(at)}; check the address"
        )

    def _take(self, partial: _Partial, answer: Response) -> None:
        """Receive a body, from the beginning unless the answer goes on with the last one."""
        if not web.resumes(answer.status, answer.headers, partial.size) or not partial.size:
            partial.restart()
            partial.validators = Validators.of(answer.headers)
        partial.receive(answer)
