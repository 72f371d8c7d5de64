"""Passing connections on: from a socket that listens in one namespace to one made in another."""

import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from anyio.abc import SocketListener, SocketStream

__all__ = ["Dial", "listen", "open_connection", "serve"]

Dial = Callable[[], Awaitable[SocketStream]]
_CHUNK = 64 * 1024
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


def listen(raw: socket.socket, address: str, port: int) -> socket.socket:
    """Make a socket listen.

    Raises:
        OSError: the port is taken.
    """
    try:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        raw.bind((address, port))
        raw.listen(128)
    except BaseException:
        raw.close()
        raise
    raw.setblocking(False)
    return raw


async def open_connection(raw: socket.socket, address: str, port: int) -> SocketStream:
    """Connect a socket that was opened in some namespace.

    Raises:
        OSError: nobody listens, or there is no way.
    """
    try:
        raw.setblocking(False)
        with suppress(BlockingIOError):
            raw.connect((address, port))
        await anyio.wait_writable(raw)
        _check(raw, f"connecting to {address}:{port}")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await SocketStream.from_socket(raw)
    except BaseException:
        raw.close()
        raise


async def serve(raw: socket.socket, dial: Dial) -> None:
    """Pass on every connection until cancelled; takes the socket over."""

    async def pass_on(near: SocketStream) -> None:
        async with near:
            try:
                far = await dial()
            except OSError:
                return  # the client sees its connection end, as it would at a closed port
            async with far, anyio.create_task_group() as group:
                group.start_soon(_copy, near, far)
                await _copy(far, near)

    async with await SocketListener.from_socket(raw) as listener:
        await listener.serve(pass_on)


def _check(raw: socket.socket, what: str) -> None:
    code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, f"{what}: {os.strerror(code)}")


async def _copy(source: SocketStream, sink: SocketStream) -> None:
    """Copy one direction; its end is passed on, the other may go on."""
    with suppress(*_GONE):
        while True:
            await sink.send(await source.receive(_CHUNK))
    with suppress(*_GONE):
        await sink.send_eof()
