"""Unix sockets of the host inside a command's room.

A command connects to a socket of ours, which belongs to its user, and what either side says is
handed to the other. So a socket is reached whoever the command runs as, nothing on the host
changes its owner, and a service that asks who is there sees whoever runs the pipeline. What is
not handed on is open files (SCM_RIGHTS). A command may say something and end at once, as `logger`
does: what it has said by then is handed on before the room is cleared.
"""

import os
import select
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

__all__ = ["listen", "relaying"]

_PIECE = 1 << 16
_PATIENCE = 1.0  # seconds that what a command said last may take to be handed on


def listen(path: Path, uid: int, gid: int) -> socket.socket:
    """Make a socket that one user may connect to."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The address of a socket has room for 107 bytes; a store may lie deeper than that.
        made.bind(f"/proc/self/fd/{directory}/{path.name}")
        path.chmod(0o600)
        if (uid, gid) != (0, 0):
            os.chown(path, uid, gid)
        made.listen(128)
    except BaseException:
        made.close()
        raise
    finally:
        os.close(directory)
    return made


@asynccontextmanager
async def relaying(sockets: Sequence[tuple[socket.socket, str]]) -> AsyncIterator[None]:
    """Serve listening sockets, each for a path of the host, during the block."""
    if not sockets:
        yield
        return
    talking: set[socket.socket] = set()
    async with anyio.create_task_group() as group:
        for listening, path in sockets:
            group.start_soon(_serve, group, listening, path, talking)
        yield
        with anyio.move_on_after(_PATIENCE):
            listeners = [listening for listening, _ in sockets]
            # The backlog of a socket tells no event when it is empty.
            while talking or select.select(listeners, [], [], 0)[0]:  # noqa: ASYNC110
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()


async def _serve(
    group: TaskGroup, listening: socket.socket, path: str, talking: set[socket.socket]
) -> None:
    while True:
        await anyio.wait_readable(listening)
        try:
            near, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            continue
        near.setblocking(False)
        talking.add(near)
        group.start_soon(_connect, near, path, talking)


async def _connect(near: socket.socket, path: str, talking: set[socket.socket]) -> None:
    """Hand on one connection; if the host does not take it, the command sees it closed."""
    with near, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as far:
        try:
            far.connect(path)  # at once: a unix socket's peer need not be waited for
            far.setblocking(False)
            async with anyio.create_task_group() as both:
                both.start_soon(_pump, far, near)
                await _pump(near, far)
                talking.discard(near)
        except OSError:
            return
        finally:
            talking.discard(near)


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Hand on what one side says until it has said all."""
    while True:
        await anyio.wait_readable(source)
        try:
            data = source.recv(_PIECE)
        except BlockingIOError:
            continue
        except OSError:
            data = b""
        if not data:
            break
        await _send(sink, data)
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


async def _send(sink: socket.socket, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[sink.send(left) :]
        except BlockingIOError:
            await anyio.wait_writable(sink)
        except OSError:
            return
