"""Services of a session: started once, counted, and ended when nobody needs them.

Theory of operation
    A service is known by its definition. Whoever needs it *holds* it: the first holder starts
    it, in a task of its own, so that a holder that leaves takes nothing from the others; all
    wait until it is ready. When the last holder leaves, a service that is ready is kept for
    ten seconds, for whoever comes next; one that is not is stopped at once. `start` holds
    until `stop` or the end of the session.

        starting ──ready──▶ running ──last holder left, stop, end of session──▶ stopping ─▶ over
            └──died, never listened──▶ over          └──died──▶ over

    What is over is forgotten, failures too: the next holder starts it anew. How a service is
    run is `serving`'s business; here is only who needs it, and for how long.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from pipelines.engine.errors import Cancelled, EngineError, ExecFailed, ServiceFailed
from pipelines.engine.op import AnyService, Binding, Forward, Service, Tunnel

if TYPE_CHECKING:
    from pipelines.engine.network.hub import Place

__all__ = ["Live", "Services", "watched"]

KEPT = 10.0
LAST_GRACE = 2.5
NOTICE = 0.05  # within which a command's failure and its service's death are one event


@dataclass(slots=True, eq=False)
class Live:
    """A service that was started. `serving` fills in where it is, and says when it is ready.

    `settled` is set when it is ready or over, `stopping` when it is to end (`kill`: at once),
    `over` when nothing of it is left; `error` is why, if that was not asked for. `scope` keeps
    the end of the session from cancelling it: it is asked to end first. `loopback` is
    the address at which commands on the machine's own network reach it, if any run there.
    """

    service: AnyService
    settled: anyio.Event = field(default_factory=anyio.Event)
    stopping: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)
    kill: anyio.Event = field(default_factory=anyio.Event)
    error: EngineError | None = None
    scope: anyio.CancelScope = field(default_factory=lambda: anyio.CancelScope(shield=True))
    place: "Place | None" = None
    loopback: str = ""
    forwards: tuple[Forward, ...] = ()
    users: int = 0
    turn: int = 0
    kept: bool = False

    @property
    def name(self) -> str:
        """What it is called in messages: its hostname."""
        return name_of(self.service)

    @property
    def ready(self) -> bool:
        """Whether it can be used."""
        return self.settled.is_set() and not self.over.is_set() and not self.stopping.is_set()

    def end(self, *, kill: bool = False) -> None:
        """Ask it to end."""
        self.stopping.set()
        if kill:
            self.kill.set()


Serve = Callable[[Live], Awaitable[None]]
"""Runs a service from start to end: sets `settled` when it is ready, ends after `stopping`."""


class Services:
    """The services of one session."""

    def __init__(self, kept: float = KEPT, grace: float = LAST_GRACE) -> None:
        self._kept = kept
        self._grace = grace
        self._live: dict[object, Live] = {}
        self._group: TaskGroup | None = None
        self._serve: Serve | None = None

    @asynccontextmanager
    async def open(self, serve: Serve) -> AsyncIterator["Services"]:
        """Own the services for the length of a session; leaving stops them all."""
        async with anyio.create_task_group() as group:
            self._group, self._serve = group, serve
            try:
                yield self
            finally:
                self._group = None
                with anyio.CancelScope(shield=True), anyio.move_on_after(self._grace):
                    for live in list(self._live.values()):
                        live.end()
                    for live in list(self._live.values()):
                        await live.over.wait()
                for live in list(self._live.values()):
                    live.scope.cancel()
                group.cancel_scope.cancel()

    @asynccontextmanager
    async def hold(self, service: AnyService) -> AsyncIterator[Live]:
        """Have a service ready for the length of the block.

        Raises:
            ServiceFailed: it did not start, or was not ready in time.
        """
        live = await self._enter(service)
        try:
            yield await _settled(live)
        finally:
            self._leave(live)

    @asynccontextmanager
    async def bound(self, bindings: Sequence[Binding]) -> AsyncIterator[list[tuple[str, Live]]]:
        """Have the services of a command ready, started side by side: aliases and services."""
        held: list[Live] = []
        try:
            for binding in bindings:
                held.append(await self._enter(binding.service))  # noqa: PERF401 - held as it goes
            for live in held:
                await _settled(live)
            yield [(b.alias, live) for b, live in zip(bindings, held, strict=True)]
        finally:
            for live in held:
                self._leave(live)

    async def start(self, service: AnyService) -> Live:
        """Have a service ready until it is stopped or the session ends."""
        async with self.hold(service) as live:
            if not live.kept:
                live.kept = True
                live.users += 1
            return live

    async def stop(self, service: AnyService, *, kill: bool = False) -> None:
        """End a service, whoever holds it, and wait until it is over."""
        live = self._live.get(_key(service))
        if live is not None:
            live.end(kill=kill)
            await live.over.wait()

    async def until_over(self, service: AnyService) -> None:
        """Wait until a service is over.

        Raises:
            EngineError: it was not stopped, it failed.
        """
        live = self._live.get(_key(service))
        if live is not None:
            await live.over.wait()
            if live.error is not None:
                raise live.error

    def find(self, service: AnyService) -> Live | None:
        """Give a service that is ready."""
        live = self._live.get(_key(service))
        return live if live is not None and live.ready else None

    def running(self) -> list[Live]:
        """List the services that are ready and have an address of their own."""
        return [live for live in self._live.values() if live.ready and live.place is not None]

    async def _enter(self, service: AnyService) -> Live:
        key = _key(service)
        while (live := self._live.get(key)) is not None and live.stopping.is_set():
            await live.over.wait()
        if live is None:
            if self._group is None:
                raise Cancelled("the session is ending")
            live = self._live[key] = Live(service)
            self._group.start_soon(self._run, key, live)
        live.users += 1
        live.turn += 1
        return live

    def _leave(self, live: Live) -> None:
        live.users -= 1
        if live.users or live.over.is_set():
            return
        if live.settled.is_set() and self._group is not None:
            self._group.start_soon(self._expire, live, live.turn)
        else:
            live.end()

    async def _expire(self, live: Live, turn: int) -> None:
        with anyio.move_on_after(self._kept):
            await live.over.wait()
        if not live.users and live.turn == turn:
            live.end()

    async def _run(self, key: object, live: Live) -> None:
        assert self._serve is not None
        try:
            with live.scope:
                await self._serve(live)
        except EngineError as error:
            live.error = error
        except Exception as error:  # noqa: BLE001 - handed to every holder, none is lost
            live.error = ServiceFailed(f"service {live.name}: {type(error).__name__}: {error}")
        finally:
            if self._live.get(key) is live:
                del self._live[key]
            live.over.set()
            live.settled.set()


@asynccontextmanager
async def watched(lives: Sequence[Live]) -> AsyncIterator[None]:
    """Cancel the block when a service ends meanwhile, and say which.

    Raises:
        ServiceFailed: a service ended.
    """
    if not lives:
        yield
        return
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        for live in lives:
            group.start_soon(_cancel_after, live, group.cancel_scope)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
            if isinstance(error, ExecFailed):
                with anyio.move_on_after(NOTICE):
                    await anyio.sleep_forever()
        group.cancel_scope.cancel()
    for live in lives:
        if live.over.is_set():
            raise _death(live, failure) from failure
    if failure is not None:
        raise failure


async def _cancel_after(live: Live, scope: anyio.CancelScope) -> None:
    await live.over.wait()
    scope.cancel()


async def _settled(live: Live) -> Live:
    await live.settled.wait()
    if live.error is not None:
        raise live.error
    if live.over.is_set():
        raise ServiceFailed(f"service {live.name} was stopped before it was ready")
    return live


def _death(live: Live, failure: Exception | None) -> EngineError:
    """Say that a service ended while a command used it, and how the command fared."""
    why = str(live.error) if live.error is not None else f"service {live.name} was stopped"
    if isinstance(failure, ExecFailed):
        command = " ".join(failure.cmd)
        why += f"\nthe command that used it: {command!r}: {failure}"
    return ServiceFailed(f"{why}\nit ended while a command was using it")


def name_of(service: AnyService) -> str:
    """Give a service's hostname; a tunnel has that of its service."""
    return name_of(service.service) if isinstance(service, Tunnel) else service.hostname


def _key(service: AnyService) -> object:
    """Say what makes two services one: the definition, and the values that it does not show."""
    if isinstance(service, Service):
        return (service, service.instance)
    if isinstance(service, Tunnel):
        return (service, _key(service.service))
    return service
