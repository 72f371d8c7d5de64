"""Running services: a container's command, ports of the machine, a way in from the machine.

    Service      a command in a place of its own, with a room like any other command's; it
                 takes no slot and no permit, because it does not end by itself
    HostService  a place whose ports are passed on to an address outside
    Tunnel       ports of the machine's loopback that are passed on to a service

Each sets `live.settled` when it can be used, and ends after `live.stopping`.
"""

import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import anyio
from anyio import to_thread
from anyio.abc import SocketStream

from pipelines.engine.errors import QueryError, ServiceFailed
from pipelines.engine.events import Events
from pipelines.engine.network import relay
from pipelines.engine.network.pool import Network
from pipelines.engine.op import AnyService, Forward, HostService, Op, Service, Tunnel
from pipelines.engine.result import Result, output
from pipelines.engine.run import relay as sockets
from pipelines.engine.run.beside import beside
from pipelines.engine.run.holding import Owner, held, secrets_of
from pipelines.engine.run.logs import Log
from pipelines.engine.run.plugs import Bound, Plugs
from pipelines.engine.run.process import Limits, Process
from pipelines.engine.run.rooms import Room, Rooms
from pipelines.engine.run.seeds import Seeds
from pipelines.engine.run.services import Live, Services
from pipelines.engine.run.streams import patterns
from pipelines.engine.sandbox.base import Sandbox

__all__ = ["Serving"]

LOOPBACK = "127.0.0.1"
TRIES = 20

Solve = Callable[[Op], Awaitable[Result]]


@dataclass(slots=True)
class Serving:
    """Runs the services of one session; `solve` gives what a service's root is made of."""

    rooms: Rooms
    sandbox: Sandbox
    seeds: Seeds
    network: Network
    services: Services
    plugs: Plugs
    events: Events
    limits: Limits
    owner: Owner
    solve: Solve | None = None

    async def __call__(self, live: Live) -> None:
        """Run a service from start to end."""
        match live.service:
            case Service():
                await self._container(live, live.service)
            case HostService():
                await self._host(live, live.service)
            case Tunnel():
                await self._tunnel(live, live.service)

    @asynccontextmanager
    async def reach(self, service: AnyService, port: int) -> AsyncIterator[tuple[str, int]]:
        """Hold a service, and pass a port of the machine's loopback on to one of its ports."""
        async with self.services.hold(service) as live:
            raw = relay.listen(_outside(), LOOPBACK, 0)
            address, number = raw.getsockname()
            async with beside(partial(relay.serve, raw, _into(live, port))):
                yield address, number

    async def _container(self, live: Live, service: Service) -> None:
        self.events.service(service.process, "starting", live.name)
        try:
            async with AsyncExitStack() as stack:
                bound = await stack.enter_async_context(
                    self.services.bound(service.process.services)
                )
                await self._started(live, service, bound, stack)
        except Exception:
            self.events.service(service.process, "failed", live.name)
            raise
        self.events.service(service.process, "stopped", live.name)

    async def _started(
        self, live: Live, service: Service, bound: Bound, stack: AsyncExitStack
    ) -> None:
        op = service.process
        secrets = await secrets_of(op, self.events)
        inputs = await self._inputs(op)
        root = output(inputs[0], op.inputs[0].output)
        volumes = await stack.enter_async_context(held(self.seeds, op, root, self.owner))
        place = live.place = await self.network.settle()
        stack.callback(self.network.give, place, reuse=False)
        plug = self.plugs.service(place, bound, live.name)
        room = await to_thread.run_sync(self.rooms.make, op, inputs, volumes, secrets, plug)
        stack.push_async_callback(_clear, room)
        log = Log(patterns(secrets.values()), lambda s, d: self.events.log(op, s, d))
        process = Process(
            live,
            service,
            room.spec,
            place=place,
            log=log,
            sandbox=self.sandbox,
            limits=self.limits,
        )
        ports = [port.port for port in service.ports if port.protocol == "TCP"]
        async with self._relayed(live, ports), sockets.relaying(room.sockets):
            await process.run(lambda: self.events.service(op, "ready", live.name))

    async def _inputs(self, op: Op) -> list[Result]:
        assert self.solve is not None
        await self.seeds.prepare(op)
        return [await self.solve(edge.op) for edge in op.inputs]

    async def _host(self, live: Live, service: HostService) -> None:
        place = live.place = await self.network.settle()
        try:
            relays = []
            for forward in service.forwards:
                port = forward.frontend or forward.backend
                raw = relay.listen(place.namespace.socket(), "0.0.0.0", port)  # noqa: S104 - its own network
                relays.append(partial(relay.serve, raw, _to(service.host, forward.backend)))
            ports = [forward.frontend or forward.backend for forward in service.forwards]
            async with self._relayed(live, ports), beside(*relays):
                live.settled.set()
                await live.stopping.wait()
        finally:
            self.network.give(place, reuse=False)

    async def _tunnel(self, live: Live, tunnel: Tunnel) -> None:
        async with self.services.hold(tunnel.service) as inner:
            opened, relays = [], []
            for forward in _forwards(tunnel):
                raw = _listen(forward)
                opened.append(replace(forward, frontend=raw.getsockname()[1]))
                relays.append(partial(relay.serve, raw, _into(inner, forward.backend)))
            live.forwards = tuple(opened)
            async with beside(*relays, partial(_follow, inner, live)):
                live.settled.set()
                await live.stopping.wait()
            if inner.over.is_set() and inner.error is not None:
                raise inner.error

    @asynccontextmanager
    async def _relayed(self, live: Live, ports: Sequence[int]) -> AsyncIterator[None]:
        """Where commands run on the machine's network, pass a service's ports on to it."""
        if await self.network.outside():
            yield
            return
        live.loopback, opened = _listen_somewhere(ports)
        relays = [partial(relay.serve, raw, _into(live, port)) for port, raw in opened]
        async with beside(*relays):
            yield


async def _follow(inner: Live, outer: Live) -> None:
    await inner.over.wait()
    outer.end()


async def _clear(room: Room) -> None:
    with anyio.CancelScope(shield=True):
        await to_thread.run_sync(room.clear)


def _outside() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def _into(live: Live, port: int) -> relay.Dial:
    """Give what connects to a port of a service, from inside its network."""

    async def dial() -> SocketStream:
        if live.place is None:
            raise OSError(f"service {live.name} has no network")
        raw = live.place.namespace.socket()
        return await relay.open_connection(raw, str(live.place.address), port)

    return dial


def _to(host: str, port: int) -> relay.Dial:
    """Give what connects to a port of a host, from the machine's network."""

    async def dial() -> SocketStream:
        return await anyio.connect_tcp(host, port)

    return dial


def _forwards(tunnel: Tunnel) -> list[Forward]:
    """List a tunnel's ports: those that were named, else those that the service has."""
    found = {forward.backend: forward for forward in tunnel.forwards}
    if tunnel.native or not found:
        if isinstance(tunnel.service, Service):
            ports = [port.port for port in tunnel.service.ports if port.protocol == "TCP"]
        else:
            ports = [forward.frontend or forward.backend for forward in tunnel.service.forwards]
        for port in ports:
            found.setdefault(port, Forward(port if tunnel.native else 0, port))
    if not found:
        raise QueryError(
            f"tunnel to service {tunnel.service.hostname}: it has no TCP port to pass on; "
            "expose one (withExposedPort) or name it in `ports`"
        )
    return list(found.values())


def _listen(forward: Forward) -> socket.socket:
    try:
        return relay.listen(_outside(), LOOPBACK, forward.frontend)
    except OSError as exc:
        raise ServiceFailed(
            f"tunnel: port {forward.frontend} of {LOOPBACK} cannot be had ({exc.strerror}); "
            "name another frontend, or none for any free port"
        ) from exc


def _listen_somewhere(ports: Sequence[int]) -> tuple[str, list[tuple[int, socket.socket]]]:
    """Listen on all ports of one address of the loopback that no other session uses.

    The address is "" where this user may not listen on such ports.
    """
    for attempt in range(TRIES):
        address = f"127.77.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311
        sockets: list[tuple[int, socket.socket]] = []
        try:
            for port in ports:
                sockets.append((port, relay.listen(_outside(), address, port)))  # noqa: PERF401
        except OSError as exc:
            for _, raw in sockets:
                raw.close()
            if isinstance(exc, PermissionError):
                return "", []
            if attempt == TRIES - 1:
                raise ServiceFailed(
                    f"a service's ports {list(ports)} cannot be had on the machine's loopback "
                    f"({exc.strerror}); with slirp4netns installed they need not be"
                ) from exc
        else:
            return address, sockets
    raise AssertionError("unreachable")
