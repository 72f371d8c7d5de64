"""Waiting for one run: all its descriptors behind one epoll descriptor.

A run is over when the monitor has ended and pid 1 has; what is left in the pipes is then read
without waiting. End-of-file is not waited for: a descriptor that the command sent to a process
outside (over a socket) would keep the pipe open for ever.
"""

import os
import select
from collections.abc import Callable, Mapping
from typing import Final

import anyio

from pipelines.engine.sandbox.spawn import Process, gone

__all__ = ["Sink", "Watch"]

Sink = Callable[[bytes], None]

_CHUNK: Final = 64 * 1024
_BURST: Final = 16  # chunks read from one pipe before others get their turn
_ALL: Final = 1 << 30


class Watch:
    """Watches a process and hands its output to sinks, by the pipe's descriptor."""

    def __init__(self, process: Process, outputs: Mapping[int, Sink]) -> None:
        self._process = process
        self._outputs = dict(outputs)
        self._open = {process.monitor, process.status, *outputs}
        self._epoll = select.epoll(len(self._open) + 1)
        for fd in self._open:
            self._epoll.register(fd, select.EPOLLIN)
        for fd in outputs:
            os.set_blocking(fd, False)
        self._ended = False

    async def turn(self) -> None:
        """Wait until something happens, and deal with it."""
        await anyio.wait_readable(self._epoll.fileno())
        for fd, _ in self._epoll.poll(0):
            if fd in self._outputs:
                self._pump(fd, _BURST)
            elif fd == self._process.status:
                self._hear()
            else:
                self._ignore(fd)
                self._ended = self._ended or fd == self._process.monitor
        if self._ended:
            self._hear()

    @property
    def over(self) -> bool:
        """Whether the monitor has ended and no process is left in its namespace."""
        return self._ended and gone(self._process.first)

    def silence(self) -> None:
        """Look at output no more."""
        for fd in self._outputs:
            self._ignore(fd)
        self._outputs = {}

    def drain(self) -> None:
        """Take what the ended processes left in the pipes."""
        for fd in list(self._outputs):
            self._pump(fd, _ALL)

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()

    def _ignore(self, fd: int) -> None:
        if fd in self._open:
            self._open.remove(fd)
            self._epoll.unregister(fd)

    def _hear(self) -> None:
        while self._process.status in self._open:
            heard = self._process.hear()
            if heard is None:
                break
            if not heard:
                self._ignore(self._process.status)
        first = self._process.first
        if first is not None and first not in self._open and not gone(first):
            self._open.add(first)
            self._epoll.register(first, select.EPOLLIN)

    def _pump(self, fd: int, burst: int) -> None:
        sink = self._outputs[fd]
        for _ in range(burst):
            try:
                chunk = os.read(fd, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self._ignore(fd)
                del self._outputs[fd]
                return
            sink(chunk)
