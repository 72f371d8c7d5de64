"""A network namespace, held by a thread that lives in it.

A thread can leave the machine's network with nothing but rights over its own user namespace,
and without root it can never come back. So every namespace has a thread of its own: made with
it, doing in it what has to be done there (start a command, open a socket, ask netlink), and
keeping it alive. A socket stays in the namespace that it was opened in, so once it is open any
thread may use it.

`do` waits for the thread with a lock, not with the event loop: what is done takes
microseconds, and a command that was started must never be lost to a cancellation.
"""

import ctypes
import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["Namespace"]

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
# As in Docker: programs that are not root may ping and take any port.
_SETTINGS = {
    "ip_unprivileged_port_start": "0",
    "ping_group_range": "0 2147483647",
}


class Namespace:
    """A network namespace; `path` names it for other programs while it lives.

    Raises:
        OSError: the kernel does not give one.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="network", daemon=True)
        self._thread.start()
        self.path = ""
        try:
            self.do(self._leave)
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            self._calls.put(None)
            raise

    def do(self, function: Callable[[], T]) -> T:
        """Call a function in the namespace and give what it gives."""
        done = threading.Lock()
        done.acquire()
        values: list[T] = []
        errors: list[BaseException] = []

        def call() -> None:
            try:
                values.append(function())
            except BaseException as error:  # noqa: BLE001 - raised where it was asked for
                errors.append(error)
            finally:
                done.release()

        with self._gate:
            if self._closed:
                raise OSError(errno.ENETDOWN, "the network namespace was given up")
            self._calls.put(call)
        done.acquire()
        if errors:
            raise errors[0]
        return values[0]

    def socket(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """Open a socket in the namespace."""
        return self.do(lambda: socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK))

    def read(self, name: str) -> str:
        """Read one of the kernel's tables, `/proc/net/<name>`, as the namespace has it."""
        place = self.path.removesuffix("ns/net")
        with open(f"{place}net/{name}", encoding="ascii", errors="replace") as file:
            return file.read()

    def close(self) -> None:
        """Let the namespace go; processes and sockets in it keep it alive."""
        with self._gate:
            self._closed = True
            self._calls.put(None)
        self._thread.join()
        os.close(self.descriptor)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _leave(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, f"unshare(CLONE_NEWNET): {os.strerror(code)}")
        self.path = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
        for name, value in _SETTINGS.items():
            # /proc/sys shows the namespace of the thread that looks.
            with suppress(OSError), open(f"/proc/sys/net/ipv4/{name}", "w") as file:
                file.write(value)
