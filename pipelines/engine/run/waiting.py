"""When a service is ready: its ports are asked from inside its own network.

A TCP port is ready when a connection to the service's own address succeeds, so a server that
listens on its loopback alone is not: nobody could reach it. A UDP port is ready when a socket
is bound to it. The first question comes after a millisecond, later ones at most 20 ms apart.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from pipelines.engine.network import relay
from pipelines.engine.op import Endpoint

if TYPE_CHECKING:
    from pipelines.engine.network.hub import Place

__all__ = ["listeners", "open_ports", "until"]

FIRST, LAST, GROWTH = 0.001, 0.02, 1.5
_LISTENS, _ANY = "0A", {"00000000", "0" * 32}


async def until(
    ask: Callable[[], Awaitable[bool]], first: float = FIRST, last: float = LAST
) -> None:
    """Ask until the answer is yes, more slowly each time."""
    pause = first
    while not await ask():
        await anyio.sleep(pause)
        pause = min(last, pause * GROWTH)


async def open_ports(
    place: "Place", ports: Sequence[Endpoint], waiting: Callable[[Endpoint], None]
) -> None:
    """Wait for every port that is to be checked; `waiting` hears for which it waits."""
    for port in ports:
        if port.checked:
            waiting(port)
            await until(lambda port=port: _open(place, port))  # type: ignore[misc]


async def _open(place: "Place", port: Endpoint) -> bool:
    if port.protocol == "UDP":
        return any(number == port.port for _, number in listeners(place, "udp"))
    try:
        stream = await relay.open_connection(
            place.namespace.socket(), str(place.address), port.port
        )
    except OSError:
        return False
    await stream.aclose()
    return True


def listeners(place: "Place", protocol: str) -> list[tuple[str, int]]:
    """List the sockets that wait in a namespace: address as the kernel spells it, and port."""
    found = []
    for table in (protocol, f"{protocol}6"):
        for line in place.namespace.read(table).splitlines()[1:]:
            words = line.split()
            address, _, port = words[1].partition(":")
            if protocol == "udp" or words[3] == _LISTENS:
                found.append((address, int(port, 16)))
    return found


def hint(place: "Place", port: Endpoint) -> str:
    """Say what a service listens on instead of the port that was waited for."""
    found = listeners(place, port.protocol.lower())
    if any(number == port.port and address not in _ANY for address, number in found):
        return f"; it listens on {port.port} of its own loopback only: have it listen on 0.0.0.0"
    others = sorted({number for _, number in found})
    return f"; it listens on {', '.join(map(str, others))}" if others else "; it does not listen"
