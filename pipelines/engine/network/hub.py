"""The session's network: one bridge in a namespace of its own, and cables to all others.

    command ──eth0═══╗
    command ──eth0═══╬══ br0 ══ tap0 ── slirp4netns ── the machine's sockets
    service ──eth0═══╝

Everything hangs on the hub's namespace; when the session's process ends, so does all of it.
Ports of commands are isolated: a command reaches services and the outside, never another
command, so that what one serves on a port can not change what another sees.
"""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pipelines.engine.network import netlink, relay
from pipelines.engine.network.namespace import Namespace
from pipelines.engine.network.uplink import MTU, NoUplink, Uplink, start

__all__ = ["Hub", "Place", "leftover"]

_FIRST = 10
_BRIDGE, _TAP = "br0", "tap0"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A namespace with an address on the session's network.

    `listening` are sockets on its loopback, by port, that whoever asked for them serves.
    """

    namespace: Namespace
    address: IPv4Address
    listening: tuple[tuple[int, socket.socket], ...] = ()

    @property
    def clean(self) -> bool:
        """Whether programs left nothing in the namespace: no socket, none that lingers."""
        text = self.namespace.read("sockstat") + self.namespace.read("sockstat6")
        return leftover(text, len(self.listening)) == 0


class Hub:
    """Makes places; every method blocks for a millisecond or two, on any thread.

    `gateway` and `resolver` are the uplink's addresses; `outside` is None without an uplink,
    and `why` says why.
    """

    def __init__(self, network: IPv4Network, group: int, search: str | None = None) -> None:
        self.network = network
        self.gateway, self.resolver = network[2], network[3]
        self.outside: Uplink | None = None
        self.why = ""
        self._group, self._search = group, search
        self._lock = threading.Lock()
        self._next = _FIRST
        self._namespace = Namespace()
        try:
            self._requests = self._namespace.do(netlink.Requests)
            self._index = self._namespace.do(self._lay)
        except BaseException:
            self._namespace.close()
            raise
        self._connect()

    def join(self, *, isolated: bool, ports: Sequence[int] = ()) -> Place:
        """Make a namespace and plug it in.

        Raises:
            OSError: the kernel refuses, or all addresses are used.
        """
        namespace = Namespace()
        try:
            address = self._plug(namespace, isolated)
            namespace.do(lambda: self._settle(address))
            listening = tuple(
                (port, relay.listen(namespace.socket(), "127.0.0.1", port)) for port in ports
            )
            return Place(namespace, address, listening)
        except BaseException:
            namespace.close()
            raise

    def close(self) -> None:
        """End the uplink and let the namespace go."""
        if self.outside is not None:
            self.outside.close()
        self._requests.close()
        self._namespace.close()

    def _lay(self) -> int:
        self._requests.send(netlink.bridge(_BRIDGE))
        index = socket.if_nametoindex(_BRIDGE)
        self._requests.send(netlink.up(index))
        self._requests.send(netlink.up(socket.if_nametoindex("lo")))
        return index

    def _connect(self) -> None:
        try:
            self.outside = start(self.network, self._namespace.path, self._group, self._search)
            # A bridge drops, without a word, what is too long for the port that it goes to.
            tap = self._namespace.do(lambda: socket.if_nametoindex(_TAP))
            self._requests.send(netlink.enslave(tap, self._index, MTU))
        except NoUplink as none:
            self.why = str(none)

    def _plug(self, namespace: Namespace, isolated: bool) -> IPv4Address:
        with self._lock:
            number = self._next
            self._next += 1
            if number >= self.network.num_addresses - 1:
                raise OSError(f"all addresses of {self.network} were used in this session")
            name = f"v{number}"
            cable = netlink.pair(name, self._index, "eth0", namespace.descriptor, MTU)
            self._requests.send(cable)
            index = self._namespace.do(lambda: socket.if_nametoindex(name))
            if isolated:
                self._requests.send(netlink.isolate(index))
            self._requests.send(netlink.up(index))
        return self.network[number]

    def _settle(self, address: IPv4Address) -> None:
        """Configure a namespace, from inside."""
        requests = netlink.Requests()
        try:
            requests.send(netlink.up(socket.if_nametoindex("lo")))
            index = socket.if_nametoindex("eth0")
            requests.send(netlink.up(index))
            requests.send(netlink.address(index, address, self.network.prefixlen))
            if self.outside is not None:
                requests.send(netlink.route(self.gateway))
        finally:
            requests.close()


def leftover(text: str, own: int) -> int:
    """Count the sockets in a namespace but `own` TCP ones, out of its sockstat and sockstat6.

    "orphan", "alloc" and "mem" count for the whole machine; a netlink socket that was closed
    is in no line but "used" for a moment more, so that "used" is not looked at.
    """
    found = -own
    for line in text.splitlines():
        words = line.split()
        named = dict(zip(words[1::2], words[2::2], strict=False))
        found += sum(int(named[name]) for name in ("inuse", "tw") if name in named)
    return found
