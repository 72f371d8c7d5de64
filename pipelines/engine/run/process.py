"""One service's command: started, asked whether it is ready, stopped, and what it leaves.

sandbox.run ─────────────────────────────▶ ends by itself: an error that shows its log
  ├─ ready?   its ports, then its health check; too late: killed, an error
  └─ stop     its stop signal, a grace, then SIGKILL for all that is left
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from pipelines.engine.errors import EngineError, ServiceFailed
from pipelines.engine.op import Endpoint, Service
from pipelines.engine.run import waiting
from pipelines.engine.run.logs import Log
from pipelines.engine.run.services import Live
from pipelines.engine.sandbox.base import Exit, Running, Sandbox, Spec

if TYPE_CHECKING:
    from pipelines.engine.network.hub import Place

__all__ = ["Limits", "Process"]

_CHECK_TIMEOUT = 30
_CHECK_FIRST, _CHECK_LAST = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: until a service must be ready, and between its stop signal and SIGKILL."""

    ready: float = 120.0
    grace: float = 10.0


class Process:
    """The command of a service, at its place and in its room."""

    def __init__(
        self,
        live: Live,
        service: Service,
        spec: Spec,
        *,
        place: "Place",
        log: Log,
        sandbox: Sandbox,
        limits: Limits,
    ) -> None:
        self._live = live
        self._service = service
        self._spec = spec
        self._place = place
        self._log = log
        self._sandbox = sandbox
        self._limits = limits
        self._scope = anyio.CancelScope()
        self._running: Running | None = None
        self._waits = ""
        self._hint: Callable[[], str] = str
        self._checked = b""
        self._error: EngineError | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Run it until it is stopped.

        Raises:
            ServiceFailed: it ended by itself, or was not ready in time.
        """
        ended: Exit | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._get_ready, ready)
            group.start_soon(self._stop)
            with self._scope:
                try:
                    ended = await self._sandbox.run(
                        self._spec, self._log.on_stdout, self._log.on_stderr, self._start
                    )
                except EngineError as error:
                    self._error = error
            group.cancel_scope.cancel()
        self._log.close()
        if self._error is not None:
            raise self._error
        if ended is not None and not self._live.stopping.is_set():
            raise self._failure(f"exited with code {ended.code}", before=not self._live.ready)

    def _start(self, running: Running) -> None:
        self._running = running

    async def _get_ready(self, ready: Callable[[], None]) -> None:
        with anyio.move_on_after(self._limits.ready):
            await waiting.open_ports(self._place, self._service.ports, self._wait_for)
            if self._service.check is not None:
                self._waits = f"its health check {' '.join(self._service.check.args)!r}"
                self._hint = self._said
                await waiting.until(self._check, _CHECK_FIRST, _CHECK_LAST)
            ready()
            self._live.settled.set()
            return
        late = f"was not ready after {self._limits.ready:g} s: waiting for {self._waits}"
        more = "PIPELINES_SERVICE_TIMEOUT sets the seconds to wait"
        self._error = self._failure(f"{late}{self._hint()}; {more}", before=False)
        self._scope.cancel()

    def _wait_for(self, port: Endpoint) -> None:
        self._waits = f"port {port.port}/{port.protocol.lower()}"
        self._hint = lambda: waiting.hint(self._place, port)

    async def _check(self) -> bool:
        check = self._service.check
        assert check is not None
        said: list[bytes] = []
        spec = replace(self._spec, args=check.args, stdin=None)
        with anyio.move_on_after(check.timeout or _CHECK_TIMEOUT):
            ended = await self._sandbox.run(spec, said.append, said.append)
            self._checked = b"".join(said)[-1000:]
            return ended.code == 0
        self._checked = b"it did not end in time"
        return False

    def _said(self) -> str:
        text = self._checked.decode("utf-8", "replace").strip()
        return f", which says: {text}" if text else ""

    async def _stop(self) -> None:
        await self._live.stopping.wait()
        number = _number(self._service.stop_signal)
        if not self._live.kill.is_set():
            with anyio.move_on_after(self._limits.grace):
                await waiting.until(lambda: self._signalled(number))
                await self._live.kill.wait()
        self._scope.cancel()

    async def _signalled(self, number: int) -> bool:
        """Send the stop signal; a command that has not begun yet can not be sent one."""
        return self._running is not None and self._running.signal(number)

    def _failure(self, what: str, *, before: bool) -> ServiceFailed:
        command = " ".join(self._service.process.args)
        early = " before it was ready" if before else ""
        text = f"service {self._live.name} ({command!r}) {what}{early}"
        last = self._log.last()
        return ServiceFailed(f"{text}; it printed last:\n{last}" if last else f"{text}; no output")


def _number(name: str) -> int:
    """Read a stop signal: "SIGINT", "INT" or a number; SIGTERM if there is none or it is odd."""
    text = name.upper().removeprefix("SIG")
    if text.isdigit():
        return int(text)
    found = signal.Signals.__members__.get(f"SIG{text}", signal.SIGTERM)
    return int(found)
