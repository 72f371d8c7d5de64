"""HTTP/1.1 over connections that are kept for the next request.

The standard library's client is used as it is, because bodies of gigabytes go through here:
it reads straight from the socket into the caller's buffer, and it is imported in 16 ms. What
it has not is here: connections that are kept by address, proxies of the environment, and one
kind of error for everything that can happen to bytes on their way.

A kept connection may have been closed by the server meanwhile. A request that gets no answer
at all on a kept connection is sent again, once, on a new one (RFC 9110, 9.2.2).
"""

import http.client
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self
from urllib.parse import unquote, urlsplit

__all__ = ["Body", "Fault", "Http", "Request", "Response", "TransportFault", "Trust", "is_loopback"]

Fault = Literal["name", "resolver", "refused", "timeout", "certificate", "tls", "broken"]

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 60.0
_DRAIN = 1 << 12
_GONE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class TransportFault(Exception):
    """Bytes did not get through; `fault` says how, the text what was seen."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: `authorities` are files of certificates beside the system's."""

    verify: bool = True
    authorities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body that can be sent again: `pieces` starts it anew each time."""

    length: int
    pieces: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, content: bytes) -> "Body":
        """Take bytes."""
        return cls(len(content), lambda: iter((content,)))


@dataclass(frozen=True, slots=True)
class Request:
    """One message; header names are spelled in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Body | None = None
    trust: Trust = field(default_factory=Trust)


class Response(Protocol):
    """An answer; `close` it, or use it as a context."""

    status: int
    headers: Mapping[str, str]

    def read(self, count: int = -1) -> bytes:
        """Give what there is of the body, at most `count` bytes; b"" at its end. Or give all.

        Raises:
            TransportFault: the body does not come to its end.
        """
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...

    def abort(self) -> None:
        """End the body, in whatever thread it is read: its reader gets a fault."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Http:
    """Sends requests; safe for threads. `close` ends whatever is in the air."""

    def __init__(
        self,
        environ: Mapping[str, str],
        read_seconds: float = _READ_SECONDS,
        routes: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        """Read the proxies; `routes` are other addresses for hosts (`name:port`) without TLS."""
        # Upper case HTTP_PROXY is a header of requests in CGI programs; this is none.
        self._proxies = {
            scheme: environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY", "")
            for scheme in ("http", "https")
        }
        self._no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY", "")
        self._seconds = read_seconds
        self._routes = routes or {}
        self._idle: dict[Any, list[http.client.HTTPConnection]] = {}
        self._used: set[http.client.HTTPConnection] = set()
        self._contexts: dict[Trust, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._closed = False

    def send(self, request: Request) -> Response:
        """Send a request and give its answer, whatever the status.

        Raises:
            TransportFault: there is no answer.
        """
        parts = urlsplit(request.url)
        key = (parts.scheme, parts.netloc, request.trust)
        while True:
            connection, fresh = self._take(key)
            try:
                return self._exchange(key, connection, request)
            except _GONE as exc:
                self._drop(connection)
                if fresh or self._closed:
                    raise _fault(exc, request.url) from exc
            except (OSError, http.client.HTTPException) as exc:
                self._drop(connection)
                raise _fault(exc, request.url) from exc
            except BaseException:
                self._drop(connection)
                raise

    def close(self) -> None:
        """Close every connection, those in use too: their readers get an error."""
        with self._lock:
            self._closed = True
            idle = [c for kept in self._idle.values() for c in kept]
            used = list(self._used)
            self._idle.clear()
        for connection in idle:
            connection.close()
        for connection in used:
            if (sock := connection.sock) is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, key: Any, connection: http.client.HTTPConnection, it: Request) -> Response:
        parts = urlsplit(it.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "http" and (proxy := self._proxy(parts.scheme, parts.netloc)):
            target = it.url
            headers = dict(it.headers) | _proxy_login(proxy)
        else:
            headers = dict(it.headers)
        headers.setdefault("accept-encoding", "identity")
        if it.body is not None:
            headers["content-length"] = str(it.body.length)
        try:
            pieces = it.body.pieces() if it.body is not None else None
            connection.request(it.method, target, body=pieces, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise
            # The server may have answered before it had read everything.
        return _Answer(self, key, connection, connection.getresponse(), it)

    def _take(self, key: Any) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._closed:
                raise TransportFault("broken", "the session is ending")
            kept = self._idle.get(key)
            if kept:
                connection, fresh = kept.pop(), False
            else:
                connection, fresh = self._new(*key), True
            self._used.add(connection)
        return connection, fresh

    def _give(self, key: Any, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._used.discard(connection)
            if not self._closed and connection.sock is not None:
                self._idle.setdefault(key, []).append(connection)
                return
        connection.close()

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._used.discard(connection)
        connection.close()

    def _new(self, scheme: str, netloc: str, trust: Trust) -> http.client.HTTPConnection:
        proxy = self._proxy(scheme, netloc)
        parts = urlsplit(f"//{netloc}")
        host, port = parts.hostname or "", parts.port
        if scheme == "http" and (route := self._routes.get(netloc)) is not None:
            return _Routed(host, port or 80, self._seconds, route)
        if scheme == "http":
            at = urlsplit(proxy) if proxy else parts
            return _Plain(at.hostname or "", at.port or 80, self._seconds)
        context = self._context(trust)
        if not proxy:
            return _Secure(host, port or 443, self._seconds, context)
        at = urlsplit(proxy)
        connection = _Secure(at.hostname or "", at.port or 80, self._seconds, context)
        connection.set_tunnel(host, port or 443, _proxy_login(proxy))
        return connection

    def _context(self, trust: Trust) -> ssl.SSLContext:
        if trust not in self._contexts:
            context = ssl.create_default_context()
            for path in trust.authorities:
                context.load_verify_locations(path)
            if not trust.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[trust] = context
        return self._contexts[trust]

    def _proxy(self, scheme: str, netloc: str) -> str:
        if netloc in self._routes:
            return ""
        host = urlsplit(f"//{netloc}").hostname or ""
        if is_loopback(host) or _bypasses(self._no_proxy, host, netloc):
            return ""
        return self._proxies.get(scheme, "")


class _Plain(http.client.HTTPConnection):
    """A connection with two patiences: one to connect, one to be answered."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        super().__init__(host, port, timeout=_CONNECT_SECONDS)
        self._seconds = seconds

    def connect(self) -> None:
        """Connect, then wait longer for bytes than for the connection."""
        super().connect()
        self.sock.settimeout(self._seconds)


class _Routed(_Plain):
    """A connection to another address than its host's: the host is named, and not looked up."""

    def __init__(self, host: str, port: int, seconds: float, route: tuple[str, int]) -> None:
        super().__init__(host, port, seconds)
        self._route = route

    def connect(self) -> None:
        """Connect to the route."""
        self.sock = socket.create_connection(self._route, self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(self._seconds)


class _Secure(http.client.HTTPSConnection):
    def __init__(self, host: str, port: int, seconds: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=_CONNECT_SECONDS, context=context)
        self._seconds = seconds

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self._seconds)


class _Answer:
    """A response that gives its connection back."""

    def __init__(
        self,
        http_: Http,
        key: Any,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        request: Request,
    ) -> None:
        self._http, self._key, self._connection = http_, key, connection
        self._response = response
        self._url = request.url
        self._open = True
        self.status = response.status
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in response.getheaders()}

    def read(self, count: int = -1) -> bytes:
        try:
            # `read` would wait for all of `count`, however slowly it comes.
            piece = self._response.read() if count < 0 else self._response.read1(count)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self._end(keep=False)
            raise _fault(exc, self._url) from exc
        if not piece and count and self._response.length:
            left = self._response.length
            self._end(keep=False)
            raise _fault(EOFError(f"{left} bytes are missing"), self._url)
        return piece

    def close(self) -> None:
        if not self._open:
            return
        answer = self._response
        done = answer.isclosed()
        # A few bytes are read to be able to keep the connection; more may take for ever.
        if not done and answer.length is not None and answer.length <= _DRAIN:
            try:
                answer.read(_DRAIN)
                done = answer.isclosed()
            except (OSError, http.client.HTTPException, ValueError):
                done = False
        self._end(keep=done and not answer.will_close and not answer.length)

    def abort(self) -> None:
        if self._open and (sock := self._connection.sock) is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _end(self, *, keep: bool) -> None:
        if self._open:
            self._open = False
            if keep:
                self._http._give(self._key, self._connection)  # noqa: SLF001 - its other half
            else:
                self._response.close()
                self._http._drop(self._connection)  # noqa: SLF001

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    return host == "localhost" or host.startswith("127.") or host in {"::1", "[::1]"}


def _bypasses(no_proxy: str, host: str, netloc: str) -> bool:
    """Tell whether `no_proxy` names a host: itself, a domain above it, or everything (`*`)."""
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",") if name.strip()]
    return any(
        name in {"*", host, netloc.lower()} or (name and host.endswith("." + name))
        for name in names
    )


def _proxy_login(proxy: str) -> dict[str, str]:
    at = urlsplit(proxy)
    if at.username is None:
        return {}
    pair = f"{unquote(at.username)}:{unquote(at.password or '')}"
    return {"proxy-authorization": "Basic " + b64encode(pair.encode()).decode()}


def _fault(exc: BaseException, url: str) -> TransportFault:
    """Name what happened, without the query of the URL, which may carry a signature."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    where = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
    match exc:
        case socket.gaierror() if exc.errno == socket.EAI_AGAIN:
            text = f"the name {host} does not resolve for now ({exc.strerror})"
            return TransportFault("resolver", text)
        case socket.gaierror():
            return TransportFault("name", f"the name {host} does not resolve ({exc.strerror})")
        case ConnectionRefusedError():
            return TransportFault("refused", f"{where}: connection refused")
        case TimeoutError():
            return TransportFault("timeout", f"{where}: no answer in time")
        case ssl.SSLCertVerificationError():
            return TransportFault(
                "certificate", f"{where}: its certificate is not trusted ({exc.verify_message})"
            )
        case ssl.SSLError():
            return TransportFault("tls", f"{where}: TLS failed ({exc.reason or exc})")
        case OSError() if exc.strerror:
            return TransportFault("broken", f"{where}: {exc.strerror}")
        case _:
            text = str(exc) or type(exc).__name__
            return TransportFault("broken", f"{where}: the answer broke off ({text[:200]})")
