"""Connecting a command: which network it starts in, and what it is told of names.

    private     a place of its own, where there is an uplink; else the machine's network
    host        the machine's network
    none        nothing but a loopback of its own

A service is named to a command by the aliases of its bindings, and every service that runs by
its hostname. On a private network the names lead to the services' own addresses. On the
machine's they lead to addresses of the loopback, 127.77.x.y, where `serving` passes the
services' TCP ports on: so two services with one port do not clash there either. Where a port
can not be had there (below 1024, and not root), the command gets a place with no way out.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pipelines.engine.network import names
from pipelines.engine.network.pool import Network
from pipelines.engine.op import Exec
from pipelines.engine.run.lent import HOSTNAME, Plug
from pipelines.engine.run.services import Live, Services

if TYPE_CHECKING:
    from pipelines.engine.network.hub import Place

__all__ = ["Bound", "Plugs"]

Bound = Sequence[tuple[str, Live]]


class Plugs:
    """Connects commands; `resolver` is the text of the machine's resolv.conf."""

    def __init__(self, network: Network, services: Services, resolver: str) -> None:
        self._network = network
        self._services = services
        self._resolver = resolver

    @asynccontextmanager
    async def command(self, op: Exec, bound: Bound) -> AsyncIterator[Plug]:
        """Connect a command for the length of the block."""
        place = await self._network.take() if op.network == "private" else None
        if (
            place is None
            and op.network == "private"
            and not all(live.loopback for _, live in bound)
        ):
            place = await self._network.enclose()
        try:
            yield self._plug(place, bound, HOSTNAME, _named(op, place))
        finally:
            if place is not None:
                self._network.give(place)

    def service(self, place: "Place", bound: Bound, hostname: str) -> Plug:
        """Connect a service at its place."""
        return self._plug(place, bound, hostname, "private")

    def _plug(self, place: "Place | None", bound: Bound, hostname: str, network: str) -> Plug:
        known = [*bound, *((live.name, live) for live in self._services.running())]
        others = {name: at for name, live in known if (at := _address(live, place))}
        own = str(place.address) if place is not None else ""
        return Plug(
            names.hosts((hostname,), own, others.items()),
            self._network.resolv_conf(place, self._resolver),
            hostname,
            place.namespace if place is not None else None,
            network,
        )


def _address(live: Live, place: "Place | None") -> str:
    """Give the address at which a service is seen from a place; "" if from nowhere."""
    if place is None:
        return live.loopback
    return str(live.place.address) if live.place is not None else ""


def _named(op: Exec, place: "Place | None") -> str:
    """Say which network a command got."""
    return "host" if op.network == "private" and place is None else op.network
