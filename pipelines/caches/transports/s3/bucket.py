"""A bucket as a backend.

Theory of operation
    A head is replaced by a conditional PUT (`If-Match` its ETag, or `If-None-Match: *`), so of
    two savers at once the backend tells one to merge. A PUT whose answer was lost is sent again
    and then fails because of itself: the head is read again, and if what stands there is what
    was sent, it was.

    Not every backend that speaks like S3 compares: some pass over conditions. Before the first
    head is replaced, that is tried on an object of its own (`probes/conditional`), and refused
    with words where it does not hold, for there savers would lose each other's work.

    Objects are read in one request up to `PART`, larger ones in several at a time; written in one
    up to `WHOLE`, larger ones in parts. An object that is large is asked for before it is sent.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from html import escape
from urllib.parse import quote

import anyio
import anyio.to_thread

from pipelines.caches.errors import Conflict, Damaged, Missing, Unavailable
from pipelines.caches.names import check
from pipelines.caches.transport import HEAD_LIMIT, OBJECT_LIMIT, Head, Item
from pipelines.caches.transports.patience import Patience
from pipelines.caches.transports.s3.listing import page
from pipelines.caches.transports.s3.place import Place
from pipelines.caches.transports.s3.signing import EMPTY, sign
from pipelines.caches.transports.web import Answer, Ask, Web, together

__all__ = ["S3Transport"]

PART, WHOLE, PIECE = 32 << 20, 64 << 20, 16 << 20
ASKED = 256 << 10  # bytes from which on it is asked for before it is sent
AT_ONCE = 4
_LISTING = 8 << 20
_MISSING = frozenset({404})
_BEYOND = frozenset({404, 416})
_TAKEN = frozenset({409, 412})
_CHANGED = _TAKEN | _MISSING
_PARTIAL, _NOT_FOUND, _RANGE = 206, 404, 416
_PROBE = "probes/conditional"


class S3Transport:
    """Objects of a bucket, below a prefix."""

    def __init__(
        self,
        where: Place,
        *,
        patience: Patience | None = None,
        now: Callable[[], float] = time.time,
        whole: int = WHOLE,
        part: int = PART,
    ) -> None:
        """Connect to nothing yet; `whole` and `part` are the sizes from which on things split."""
        self._place = where
        self._now = now
        self._whole, self._part = whole, part
        self._web = Web(authority=where.authority, patience=patience)
        self._compares = False
        self._probing = anyio.Lock()

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return self._place.shown

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object or a range of it."""
        check(name)
        end = start + (OBJECT_LIMIT + 1 if length is None else length)
        if end <= start:
            return b""
        first, size = await self._range(name, start, min(end, start + self._part))
        if length is None and size > OBJECT_LIMIT:
            raise Damaged(f"{self.url}/{name} has more than {OBJECT_LIMIT} bytes")
        end = min(end, size)
        begins = range(start + len(first), end, self._part)
        pieces = dict.fromkeys(begins, b"")
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def get(begin: int) -> None:
            async with limiter:
                pieces[begin], _ = await self._range(name, begin, min(end, begin + self._part))

        if pieces:
            await together(*(partial(get, begin) for begin in begins))
        return b"".join([first, *pieces.values()])

    async def write(self, name: str, content: bytes) -> bool:
        """Write an object unless it is there whole."""
        check(name)
        size = await self._size(name) if len(content) >= ASKED else None
        if size == len(content):
            return False
        if len(content) > self._whole:
            await self._in_parts(name, content)
            return True
        only_new = {"if-none-match": "*"} if size is None else {}
        answer = await self._put(name, content, only_new)
        return answer.status not in _CHANGED or answer.tries > 1

    async def heads(self, name: str) -> Sequence[Head]:
        """Read a head: one or none."""
        check(name)
        answer = await self._ask(
            "GET", self._place.url(name), accept=_MISSING, limit=HEAD_LIMIT + 1
        )
        if answer.status == _NOT_FOUND:
            return []
        return [Head(answer.content, answer.headers.get("etag", ""))]

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        """Replace a head if it is still the one seen."""
        check(name)
        await self._check_conditions()
        condition = {"if-match": seen[0].version} if seen else {"if-none-match": "*"}
        answer = await self._put(name, content, condition)
        if answer.status not in _CHANGED:
            return
        if answer.tries > 1:
            standing = await self.heads(name)
            if standing and standing[0].content == content:
                return
        raise Conflict(f"{self.url}/{name} was replaced meanwhile")

    async def list(self, prefix: str) -> AsyncIterator[Item]:
        """List what begins with a prefix, a page at a time."""
        wanted = quote(self._place.key(prefix), safe="")
        begin = f"encoding-type=url&list-type=2&prefix={wanted}"
        following = ""
        while True:
            token = f"&continuation-token={quote(following, safe='')}" if following else ""
            url = self._place.url(query=begin + token)
            answer = await self._ask("GET", url, limit=_LISTING)
            found = page(answer.content, self._place.prefix)
            for item in found.items:
                if not item.name.startswith("probes/"):
                    yield item
            if not found.following or found.following == following:
                return
            following = found.following

    async def delete(self, name: str) -> None:
        """Delete an object."""
        check(name)
        await self._ask("DELETE", self._place.url(name), accept=_MISSING)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._web.aclose()

    async def _range(self, name: str, start: int, end: int) -> tuple[bytes, int]:
        """Read from `start` up to before `end`; give the bytes and the object's size."""
        asked = {"range": f"bytes={start}-{end - 1}"}
        answer = await self._ask(
            "GET", self._place.url(name), asked, accept=_BEYOND, limit=end - start
        )
        if answer.status == _NOT_FOUND:
            raise Missing(f"{self.url}/{name} is not there")
        if answer.status == _RANGE:
            return b"", start
        if answer.status != _PARTIAL:
            raise Unavailable(f"{self.url}: the backend does not answer ranges of objects")
        size = answer.headers.get("content-range", "").rpartition("/")[2]
        if not size.isdigit():
            raise Damaged(f"{self.url}/{name}: a range without the size of the object")
        if len(answer.content) != min(end, int(size)) - start:
            raise Damaged(f"{self.url}/{name}: {len(answer.content)} bytes instead of a range")
        return answer.content, int(size)

    async def _size(self, name: str) -> int | None:
        answer = await self._ask("HEAD", self._place.url(name), accept=_MISSING)
        size = answer.headers.get("content-length", "")
        return int(size) if answer.status != _NOT_FOUND and size.isdigit() else None

    async def _check_conditions(self) -> None:
        """Try once whether conditions hold here.

        Raises:
            Unavailable: they do not.
        """
        async with self._probing:
            if self._compares:
                return
            for _ in range(2):  # the first makes it, unless an earlier run did
                answer = await self._put(_PROBE, b"probe", {"if-none-match": "*"})
                self._compares = answer.status in _CHANGED
                if self._compares:
                    return
        raise Unavailable(
            f"{self.url}: this backend does not honour If-None-Match, so savers at once would lose "
            "each other's work; nothing is saved. Use one that does, or a directory or a registry"
        )

    async def _put(self, name: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        accept = _CHANGED if "if-match" in headers else _TAKEN
        return await self._ask("PUT", self._place.url(name), headers, content, accept=accept)

    async def _in_parts(self, name: str, content: bytes) -> None:
        """Write a large object in parts; what is begun and not ended is given up."""
        url = self._place.url(name, "uploads=")
        answer = await self._ask("POST", url)
        upload = quote(_tag(answer.content, "UploadId"), safe="")
        limiter = anyio.CapacityLimiter(AT_ONCE)
        tags: dict[int, str] = {}

        async def send(number: int, piece: bytes) -> None:
            async with limiter:
                where = self._place.url(name, f"partNumber={number}&uploadId={upload}")
                tags[number] = (await self._ask("PUT", where, content=piece)).headers["etag"]

        try:
            places = enumerate(range(0, len(content), PIECE), 1)
            await together(*(partial(send, n, content[at : at + PIECE]) for n, at in places))
            await self._complete(name, upload, tags)
        except BaseException:
            with anyio.move_on_after(5, shield=True):
                await self._ask(
                    "DELETE", self._place.url(name, f"uploadId={upload}"), accept=_MISSING
                )
            raise

    async def _complete(self, name: str, upload: str, tags: Mapping[int, str]) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tags[number])}</ETag></Part>"
            for number in sorted(tags)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        answer = await self._ask("POST", self._place.url(name, f"uploadId={upload}"), content=body)
        if b"<Error>" in answer.content:  # a failure after the status was sent
            raise Unavailable(f"{self.url}/{name}: the parts could not be put together")

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        *,
        accept: frozenset[int] = frozenset(),
        limit: int = 1 << 20,
    ) -> Answer:
        digest = await anyio.to_thread.run_sync(_digest, content) if content else EMPTY
        credentials, region = self._place.credentials, self._place.region

        def prepare(ask: Ask) -> Mapping[str, str]:
            if credentials is None:
                return ask.headers
            now = self._now()
            return sign(
                credentials, region, method, url, headers=ask.headers, digest=digest, at=now
            )

        return await self._web.ask(Ask(method, url, headers or {}, content, accept, limit), prepare)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tag(content: bytes, name: str) -> str:
    text = content.decode("utf-8", "replace")
    found = text.partition(f"<{name}>")[2].partition(f"</{name}>")[0]
    if not found:
        raise Unavailable(f"an answer without {name}: {text[:80]!r}")
    return found
