"""An event loop beside the session's, in a thread of its own.

The backend is waited for here: by blocked threads (a volume that is being made, a file that
somebody reads) and by tasks of the session alike. A session that is being cancelled does not cancel
what is saved meanwhile, and a backend that hangs holds up nobody who does not need it.
"""

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, suppress
from typing import TypeVar

from anyio import to_thread
from anyio.from_thread import BlockingPortal, check_cancelled, start_blocking_portal

from pipelines.engine.errors import Cancelled

__all__ = ["Aside", "awaited", "patient"]

T = TypeVar("T")
_PAUSE = 0.1  # seconds until a thread that waits looks whether its caller has left


class Aside:
    """Runs coroutines beside the session; the thread starts with the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._closed = False

    def start(self, work: Callable[..., Awaitable[T]], *arguments: object) -> "Future[T]":
        """Start a coroutine; the future has its end.

        Raises:
            Cancelled: the session is over.
        """
        with self._lock:
            if self._closed:
                raise Cancelled("the session is ending")
            if self._portal is None:
                self._portal = self._stack.enter_context(start_blocking_portal())
            return self._portal.start_task_soon(work, *arguments)

    def close(self) -> None:
        """Cancel what runs, end the thread; blocks."""
        with self._lock:
            self._closed = True
            portal, self._portal = self._portal, None
        if portal is not None:
            portal.call(portal.stop, True)
        self._stack.close()


def patient(future: "Future[T]", seconds: float | None = None) -> T | None:
    """Wait for a future in a thread; None if it was cancelled, or did not end in time.

    A thread whose caller has left cancels the future, and leaves too.
    """
    waited = 0.0
    while seconds is None or waited < seconds:
        try:
            return future.result(_PAUSE)
        except CancelledError:
            return None
        except TimeoutError:
            if future.done():
                raise
            waited += _PAUSE
        try:
            with suppress(RuntimeError):  # threads of ours have no caller
                check_cancelled()
        except BaseException:
            future.cancel()
            raise
    return None


async def awaited(future: "Future[T]", seconds: float | None = None) -> T | None:
    """Wait for a future in the session's own loop; it goes on if the caller leaves."""

    def wait() -> T | None:
        try:
            return future.result(seconds)
        except (CancelledError, TimeoutError):
            return None

    return wait() if future.done() else await to_thread.run_sync(wait, abandon_on_cancel=True)
