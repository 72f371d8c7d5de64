"""What a command is told of names: the text of its /etc/hosts and /etc/resolv.conf.

Pure functions. In a private network the machine's loopback is out of reach, and with it a
name server there; the uplink answers in its place. What else stands in resolv.conf (search
domains, options) holds in both.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_address
from urllib.parse import urlsplit

__all__ = ["choose", "hosts", "loopback_ports", "resolv_conf", "routes"]

_LOCAL = ("localhost", "ip6-localhost")
# Seldom used elsewhere; the last is set aside for benchmarks, and in no one's network.
_NETWORKS = tuple(
    IPv4Network(text)
    for text in ("10.213.0.0/16", "172.29.0.0/16", "10.197.0.0/16", "198.18.0.0/16")
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s,|]+", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}


def hosts(own: Sequence[str], address: str, others: Iterable[tuple[str, str]]) -> bytes:
    """Write /etc/hosts: the command's own names, and those of `others` (name, address).

    `address` is the command's own on a private network, "" on the machine's.
    """
    alone = () if address else own
    lines = [f"127.0.0.1\t{' '.join((_LOCAL[0], *alone))}", f"::1\t{' '.join(_LOCAL)}"]
    if address and own:
        lines.append(f"{address}\t{' '.join(own)}")
    lines += [f"{at}\t{name}" for name, at in others]
    return ("\n".join(lines) + "\n").encode()


def resolv_conf(text: str, forwarder: str) -> bytes:
    """Write resolv.conf for a private network; `forwarder` is the uplink's name server."""
    servers, rest = [], []
    for line in text.splitlines():
        words = line.split()
        if words[:1] != ["nameserver"]:
            rest.append(line)
        elif len(words) > 1 and _reachable(words[1]):
            servers.append(words[1])
    lines = [f"nameserver {server}" for server in servers or [forwarder]]
    return ("\n".join([*lines, *rest]) + "\n").encode()


def loopback_ports(environ: Mapping[str, str]) -> tuple[int, ...]:
    """List the ports of this machine's loopback that variables refer to by address."""
    found: set[int] = set()
    for value in environ.values():
        texts = _ADDRESS.findall(value) or ([f"http://{value}"] if ":" in value else [])
        for text in texts:
            found |= _loopback_port(text)
    return tuple(sorted(found))


def routes(table: str) -> list[IPv4Network]:
    """Read the networks in /proc/net/route, the default route excepted."""
    found = []
    for line in table.splitlines()[1:]:
        words = line.split()
        network, mask = (int.from_bytes(bytes.fromhex(w), "little") for w in (words[1], words[7]))
        if mask:
            found.append(IPv4Network((network, mask.bit_count()), strict=False))
    return found


def choose(taken: Sequence[IPv4Network], resolver: str) -> IPv4Network:
    """Choose the session's network: none that the machine has a way or a name server in."""
    servers = {words[1] for line in resolver.splitlines() if len(words := line.split()) > 1}
    for network in _NETWORKS[:-1]:
        asked = any(_inside(server, network) for server in servers)
        if not asked and not any(network.overlaps(other) for other in taken):
            return network
    return _NETWORKS[-1]


def _reachable(server: str) -> bool:
    """Tell whether a name server can be reached from a private network (which speaks IPv4)."""
    try:
        address = ip_address(server)
    except ValueError:
        return False
    return isinstance(address, IPv4Address) and not address.is_loopback


def _inside(server: str, network: IPv4Network) -> bool:
    try:
        return ip_address(server) in network
    except ValueError:
        return False


def _loopback_port(text: str) -> set[int]:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return set()
    if host != "localhost" and not host.startswith("127."):
        return set()
    number = port or _PORTS.get(parts.scheme.lower())
    return {number} if number else set()
