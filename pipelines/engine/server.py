"""HTTP: one loopback listener, basic auth, `POST /query`.

Theory of operation
    A connection is a loop of request and response (HTTP/1.1 keep-alive). While a query is
    being answered the connection is watched: if the client goes away, the query's scope is
    cancelled, and with it whatever only that query was waiting for. Bytes that a client sends
    early are kept for the next request. TCP_NODELAY is set and a response is one write:
    without either, a reply in two segments costs 40 ms.

    The listener knows nothing of GraphQL: `answer(query, variables, traceparent)` gives the
    body. Source: dagger `engine/client/client.go` (ServeHTTP) for paths, auth and statuses;
    h11's `examples/trio-server.py` for the shape of the loop.
"""

import base64
import hmac
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import h11
from anyio.abc import SocketAttribute, SocketListener, SocketStream

__all__ = ["Answer", "Request", "Server"]

CHUNK = 64 * 1024
LARGEST_BODY = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One query: its text, variables and the W3C `traceparent` it came with."""

    query: str
    variables: Mapping[str, Any]
    traceparent: str
    operation: str | None = None


Answer = Callable[[Request], Awaitable[bytes]]
Incoming = tuple[h11.Request, bytes]


class Server:
    """Answers queries on a loopback port until cancelled."""

    def __init__(self, answer: Answer, token: str, port: int = 0) -> None:
        self.port = port
        self._doors = {_credentials(token): answer}

    def open(self, answer: Answer) -> str:
        """Let one more client in, which is answered by itself; give its token."""
        token = secrets.token_urlsafe(24)
        self._doors[_credentials(token)] = answer
        return token

    def close(self, token: str) -> None:
        """Let a client in no more."""
        del self._doors[_credentials(token)]

    async def serve(self, listening: socket.socket) -> None:
        """Answer who connects to a socket that listens already; takes the socket over."""
        listening.setblocking(False)
        async with await SocketListener.from_socket(listening) as listener:
            await listener.serve(self._converse)

    async def _converse(self, stream: SocketStream) -> None:
        raw = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = h11.Connection(h11.SERVER)
        async with stream:
            try:
                while await self._exchange(wire, stream):
                    wire.start_next_cycle()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, h11.ProtocolError):
                return

    async def _exchange(self, wire: h11.Connection, stream: SocketStream) -> bool:
        """Serve one request; say whether the connection lives on."""
        try:
            incoming = await _receive(wire, stream)
        except h11.RemoteProtocolError as error:
            await _send(wire, stream, error.error_status_hint, _text("bad request"))
            return False
        if incoming is None:
            return False
        status, body, extra = await self._respond(wire, stream, incoming)
        if body is None:
            return False
        await _send(wire, stream, status, body, extra)
        return wire.our_state is h11.DONE and wire.their_state is h11.DONE

    async def _respond(
        self, wire: h11.Connection, stream: SocketStream, incoming: Incoming
    ) -> tuple[int, bytes | None, list[tuple[str, str]]]:
        request, body = incoming
        headers = dict(request.headers)
        answer = self._admits(headers.get(b"authorization", b""))
        if answer is None:
            return 401, _text("wrong session token"), [("www-authenticate", 'Basic realm="dagger"')]
        if request.target.split(b"?")[0] != b"/query":
            return 404, _text(f"no such path: {request.target.decode('latin-1')}"), []
        if request.method != b"POST":
            return 405, _text("queries are sent by POST"), [("allow", "POST")]
        try:
            parsed = _parse(body, headers.get(b"traceparent", b"").decode("latin-1"))
        except (ValueError, TypeError, KeyError):
            return 400, _text('the body is not JSON of the form {"query": "…"}'), []
        return 200, await _watched(wire, stream, partial(answer, parsed)), []

    def _admits(self, header: bytes) -> Answer | None:
        """Find whom credentials let in; every door is tried, in the same time."""
        kind, _, given = header.partition(b" ")
        found = None
        for credentials, answer in self._doors.items():
            if hmac.compare_digest(given.strip(), credentials):
                found = answer
        return found if kind.lower() == b"basic" else None


async def _watched(
    wire: h11.Connection, stream: SocketStream, answer: Callable[[], Awaitable[bytes]]
) -> bytes | None:
    """Answer, unless the client hangs up first: then cancel and give None."""
    body: bytes | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_hang_up, wire, stream, group.cancel_scope)
        body = await answer()
        group.cancel_scope.cancel()
    return body


def _credentials(token: str) -> bytes:
    return base64.b64encode(f"{token}:".encode())


async def _hang_up(wire: h11.Connection, stream: SocketStream, scope: anyio.CancelScope) -> None:
    """Wait for the client to go away; keep what it sends early."""
    while True:
        try:
            wire.receive_data(await stream.receive(CHUNK))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            scope.cancel()
            return


async def _receive(wire: h11.Connection, stream: SocketStream) -> Incoming | None:
    """Read one request with its body; None at the end of the connection."""
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            if wire.they_are_waiting_for_100_continue:
                informal = h11.InformationalResponse(status_code=100, headers=[])
                await stream.send(wire.send(informal) or b"")
            try:
                wire.receive_data(await stream.receive(CHUNK))
            except anyio.EndOfStream:
                wire.receive_data(b"")
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                raise h11.RemoteProtocolError("query too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, bytes(body)
        else:
            return None


def _parse(body: bytes, traceparent: str) -> Request:
    document = json.loads(body)
    query, variables = document["query"], document.get("variables") or {}
    if not isinstance(query, str) or not isinstance(variables, dict):
        raise TypeError
    return Request(query, variables, traceparent, document.get("operationName"))


def _text(message: str) -> bytes:
    return json.dumps({"errors": [{"message": message}]}).encode()


async def _send(
    wire: h11.Connection,
    stream: SocketStream,
    status: int,
    body: bytes,
    extra: list[tuple[str, str]] | None = None,
) -> None:
    kind = "application/json" if status == 200 else "text/plain"  # noqa: PLR2004
    headers = [("content-type", kind), ("content-length", str(len(body))), *(extra or [])]
    head = wire.send(h11.Response(status_code=status, headers=headers))
    data = wire.send(h11.Data(data=body))
    end = wire.send(h11.EndOfMessage())
    await stream.send((head or b"") + (data or b"") + (end or b""))
