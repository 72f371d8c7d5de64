"""Requests to a backend over HTTP: what S3 and OCI registries have in common.

A request is made anew for each try, because signatures carry the time. An answer's body is read
up to a limit and no further, whatever it claims to be. Certificates are the host's, with those of
`SSL_CERT_FILE`; proxies are the environment's.
"""

import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from pipelines.caches.arrivals import arrived
from pipelines.caches.errors import Unavailable
from pipelines.caches.faults import first
from pipelines.caches.transports.patience import Attempts, Patience

__all__ = ["Answer", "Ask", "Web", "shown", "together"]

CONNECT, STALL = 5.0, 15.0  # seconds to connect; without a byte
CONNECTIONS = 16
_SAID = 300
_ERROR_TEXT = 1 << 14
_REFUSED = 400


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: `limit` is how much of the answer is read, and `skip` what is left out before.

    `accept` are the statuses from 400 on that are no errors to the caller.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    accept: frozenset[int] = frozenset()
    limit: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; names of headers are in lower case, `tries` is how often it was asked for."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    tries: int = 1


Prepare = Callable[[Ask], Mapping[str, str]]


class Web:
    """Connections to one backend."""

    def __init__(
        self,
        *,
        authority: str = "",
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect to nothing yet; `authority` is a file of certificates to trust as well."""
        self._authority = authority
        self._patience = patience or Patience()
        self._transport = transport
        self._made: httpx.AsyncClient | None = None

    async def ask(self, ask: Ask, prepare: Prepare | None = None) -> Answer:
        """Ask, and again while that makes sense; `prepare` gives the headers of each try.

        Raises:
            Unavailable: no answer, or one that is an error.
        """
        attempts = Attempts(self._patience)
        while True:
            headers = prepare(ask) if prepare else ask.headers
            try:
                answer = await self._once(ask, headers, attempts.made)
            except httpx.HTTPError as exc:
                wait, seen = attempts.after_fault(), _fault(exc)
            else:
                if answer.status < _REFUSED or answer.status in ask.accept:
                    return answer
                wait = attempts.after_status(answer.status, answer.headers)
                seen = _refusal(answer, attempts)
            if wait is None:
                raise Unavailable(f"{ask.method} {shown(ask.url)}: {seen}")
            await anyio.sleep(wait)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.aclose()

    async def _once(self, ask: Ask, headers: Mapping[str, str], tries: int) -> Answer:
        request = self._client.build_request(
            ask.method, ask.url, headers=dict(headers), content=ask.content or None
        )
        response = await self._client.send(request, stream=True)
        try:
            given = {name.lower(): value for name, value in response.headers.items()}
            failed = response.status_code >= _REFUSED
            limit = _ERROR_TEXT if failed else ask.limit
            if ask.method == "HEAD":
                return Answer(response.status_code, given, b"", tries)
            return Answer(response.status_code, given, await _body(response, limit), tries)
        finally:
            await response.aclose()

    @property
    def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            self._made = httpx.AsyncClient(
                timeout=httpx.Timeout(STALL, connect=CONNECT, pool=None),
                limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=30.0),
                transport=self._transport,
                verify=self._certificates(),
                headers={"user-agent": "pipelines", "accept-encoding": "identity"},
            )
        return self._made

    def _certificates(self) -> ssl.SSLContext:
        made = ssl.create_default_context()
        if self._authority:
            try:
                made.load_verify_locations(self._authority)
            except OSError as exc:
                raise Unavailable(f"certificates of {self._authority}: {exc}") from exc
        return made


async def together(*acts: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do several things at once; of several errors, the one that says most is raised."""
    try:
        async with anyio.create_task_group() as group:
            for act in acts:
                group.start_soon(act)
    except BaseExceptionGroup as several:
        raise first(several) from None


async def _body(response: httpx.Response, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        pieces.append(piece)
        size += len(piece)
        arrived(len(piece))
        if size >= limit:
            break
    return b"".join(pieces)[:limit]


def shown(url: str) -> str:
    """Spell an address for people: without credentials and query."""
    parts = httpx.URL(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.host}{port}{parts.path}"


def _fault(exc: httpx.HTTPError) -> str:
    seen: Any = exc
    what = str(exc) or type(seen).__name__
    if isinstance(exc, httpx.TimeoutException):
        return f"no answer in time ({type(seen).__name__}); check the network and the address"
    if isinstance(exc, httpx.ConnectError):
        return f"{what}; check the address, the network, proxies and certificates"
    return f"{what}; the answer broke off"


def _refusal(answer: Answer, attempts: Attempts) -> str:
    said = " ".join(answer.content[:4096].decode("utf-8", "replace").split())[:_SAID]
    said = f"; it said: {said}" if said else ""
    match answer.status:
        case 401 | 403:
            way = "the credentials are missing, wrong, or may not do this"
        case 404:
            way = "there is no such bucket or repository"
        case 429:
            told = (
                "" if attempts.told is None else f", it asks to come back in {attempts.told:.0f} s"
            )
            way = f"too many requests{told}; fewer runners at once, or a backend of your own"
        case 507:
            way = "the backend is full; `pipelines cache gc`"
        case _:
            way = "refused, also when asked again" if attempts.made > 1 else "refused"
    return f"{way} ({answer.status}){said}"
