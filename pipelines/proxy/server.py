"""HTTP for the proxy: GET and HEAD, keep-alive, files sent in pieces."""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import h11
from anyio.abc import SocketAttribute, SocketListener, SocketStream

__all__ = ["Answer", "serve"]

CHUNK = 256 * 1024

Answer = Callable[[str], Awaitable[tuple[int, Path | bytes]]]


async def serve(listening: socket.socket, answer: Answer) -> None:
    """Answer who connects to a socket that listens already, until cancelled."""

    async def converse(stream: SocketStream) -> None:
        raw = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = h11.Connection(h11.SERVER)
        gone = (
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            anyio.EndOfStream,
            h11.ProtocolError,
            OSError,
        )
        async with stream:
            try:
                while await _exchange(wire, stream, answer):
                    wire.start_next_cycle()
            except gone:
                return

    listening.setblocking(False)
    async with await SocketListener.from_socket(listening) as listener:
        await listener.serve(converse)


async def _exchange(wire: h11.Connection, stream: SocketStream, answer: Answer) -> bool:
    """Serve one request; say whether the connection lives on."""
    if (request := await _receive(wire, stream)) is None:
        return False
    status: int
    body: Path | bytes
    if request.method not in (b"GET", b"HEAD"):
        status, body = 405, b"modules are read by GET\n"
    else:
        status, body = await answer(request.target.decode("latin-1"))
    await _send(wire, stream, status, body, whole=request.method == b"GET")
    return wire.our_state is h11.DONE and wire.their_state is h11.DONE


async def _receive(wire: h11.Connection, stream: SocketStream) -> h11.Request | None:
    request: h11.Request | None = None
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            try:
                wire.receive_data(await stream.receive(CHUNK))
            except anyio.EndOfStream:
                wire.receive_data(b"")
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif not isinstance(event, h11.Data):
            return None


async def _send(
    wire: h11.Connection, stream: SocketStream, status: int, body: Path | bytes, *, whole: bool
) -> None:
    if isinstance(body, bytes):
        head = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))]
        pieces = wire.send(h11.Response(status_code=status, headers=head)) or b""
        if whole:
            pieces += wire.send(h11.Data(data=body)) or b""
        await stream.send(pieces + (wire.send(h11.EndOfMessage()) or b""))
        return
    async with await anyio.open_file(body, "rb") as file:  # deleted meanwhile, it can be read
        size = await file.seek(0, 2)
        await file.seek(0)
        head = [("content-type", "application/octet-stream"), ("content-length", str(size))]
        await stream.send(wire.send(h11.Response(status_code=status, headers=head)) or b"")
        while whole and (piece := await file.read(CHUNK)):
            await stream.send(wire.send(h11.Data(data=piece)) or b"")
        await stream.send(wire.send(h11.EndOfMessage()) or b"")
