"""Places for commands and services, and what happens where there can be none.

Theory of operation
    The first command of a session opens the hub (10 ms, most of it slirp4netns) and a place
    (2 ms). A command that leaves its place as it found it (no socket open, none lingering)
    hands it to the next; that costs 0.1 ms. A command can not change more of a namespace than
    that: it has no right over interfaces, addresses, routes or settings. Any other place is
    given up, and another made beside what runs.

    Without an uplink commands use the machine's network, which is said once. Services still
    get places; they are reached through relays (see `run/`).

    A proxy or index of this machine's loopback is out of reach in a private network, so each
    such port is passed on: it listens on the loopback of every place, and connects outside.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from anyio.abc import SocketStream, TaskGroup

from pipelines.engine.errors import SandboxError
from pipelines.engine.network import names, relay

if TYPE_CHECKING:
    from pipelines.engine.network.hub import Hub, Place

__all__ = ["Network"]

LOOPBACK = "127.0.0.1"


class Network:
    """The network of one session; nothing is made before it is asked for.

    Args:
        warn: hears, once, why commands are not on a private network.
        ports: ports of the machine's loopback that commands may reach.
        group: the process group that ends with the session.
        private: whether commands get places at all.
        search: where programs are looked for, None for PATH.
    """

    def __init__(
        self,
        warn: Callable[[str], None],
        ports: Sequence[int],
        group: int,
        *,
        private: bool = True,
        search: str | None = None,
    ) -> None:
        self._warn = warn
        self._ports = tuple(ports)
        self._group = group
        self._private = private
        self._search = search
        self._opening = anyio.Lock()
        self._opened = False
        self._hub: Hub | None = None
        self._why = ""
        self._enclosed = False
        self._free: list[Place] = []
        self._tasks: TaskGroup | None = None
        self._relays: dict[Place, anyio.CancelScope] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Network"]:
        """Own relays for the length of a session; then everything is taken down."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield self
            finally:
                tasks.cancel_scope.cancel()
        # After the group: no relay is left, and nothing is being made any more.
        for place in self._free:
            place.namespace.close()
        if self._hub is not None:
            self._hub.close()

    async def take(self) -> "Place | None":
        """Give a place for a command; None says that it runs on the machine's network."""
        if not self._private:
            return None
        hub = await self._get()
        if hub is None or hub.outside is None or not hub.outside.alive:
            return None
        if self._free:
            return self._free.pop()
        return await self._make(hub, isolated=True)

    async def outside(self) -> bool:
        """Tell whether commands get places here."""
        hub = await self._get()
        return self._private and hub is not None and self._ways_out()

    async def settle(self) -> "Place":
        """Give a place for a service.

        Raises:
            SandboxError: this machine has none to give.
        """
        hub = await self._get()
        if hub is None:
            raise SandboxError(f"starting a service: {self._why}")
        return await self._make(hub, isolated=False)

    async def enclose(self) -> "Place":
        """Give a command a place with no way out, and say so.

        Raises:
            SandboxError: this machine has none to give.
        """
        hub = await self._get()
        if hub is None:
            raise SandboxError(f"connecting a command to a service: {self._why}")
        if not self._enclosed:
            self._enclosed = True
            self._warn(
                "commands that are bound to services with ports below 1024 have no way out of "
                "their network here; install the package slirp4netns"
            )
        return await self._make(hub, isolated=True)

    def give(self, place: "Place", *, reuse: bool = True) -> None:
        """Take a place back, when no process is in it any more."""
        if reuse and place.clean and self._private and self._ways_out():
            self._free.append(place)
            return
        scope = self._relays.pop(place, None)
        if scope is not None:
            scope.cancel()
        place.namespace.close()
        if reuse and not self._free and self._tasks is not None and self._ways_out():
            self._tasks.start_soon(self._refill)

    def _ways_out(self) -> bool:
        return self._hub is not None and self._hub.outside is not None

    def resolv_conf(self, place: "Place | None", text: str) -> bytes:
        """Write resolv.conf for a command at a place."""
        if place is None or self._hub is None:
            return text.encode()
        return names.resolv_conf(text, str(self._hub.resolver))

    async def _refill(self) -> None:
        if self._hub is not None and not self._free:
            self._free.append(await self._make(self._hub, isolated=True))

    async def _make(self, hub: "Hub", *, isolated: bool) -> "Place":
        try:
            with anyio.CancelScope(shield=True):  # what was made is not lost
                place = await to_thread.run_sync(
                    lambda: hub.join(isolated=isolated, ports=self._ports)
                )
        except OSError as exc:
            raise SandboxError(f"making a private network: {exc}") from exc
        if place.listening and self._tasks is not None:
            self._relays[place] = anyio.CancelScope()
            self._tasks.start_soon(self._pass_on, place, self._relays[place])
        return place

    async def _pass_on(self, place: "Place", scope: anyio.CancelScope) -> None:
        with scope:
            async with anyio.create_task_group() as group:
                for port, raw in place.listening:
                    group.start_soon(relay.serve, raw, _outside(port))

    async def _get(self) -> "Hub | None":
        """Open the hub once, and say once what it lacks."""
        if not self._opened:
            async with self._opening:
                if not self._opened:
                    with anyio.CancelScope(shield=True):
                        await to_thread.run_sync(self._open)
                    self._opened = True
        return self._hub

    def _open(self) -> None:
        from pipelines.engine.network.hub import Hub

        resolver = _read("/etc/resolv.conf")
        network = names.choose(names.routes(_read("/proc/net/route")), resolver)
        try:
            self._hub = Hub(network, self._group, self._search)
            self._why = self._hub.why
        except OSError as exc:
            self._why = f"the kernel gives no network namespace ({exc.strerror or exc})"
        if self._why and self._private:
            self._warn(
                f"commands run on this machine's own network: {self._why}. "
                "PIPELINES_NETWORK=host says that this is meant"
            )


def _outside(port: int) -> relay.Dial:
    """Give what connects to a port of the machine's own loopback."""

    async def dial() -> SocketStream:
        return await relay.open_connection(socket(AF_INET, SOCK_STREAM), LOOPBACK, port)

    return dial


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
