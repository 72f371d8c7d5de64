"""The few rtnetlink requests that a private network is made of.

A request is a header, a family's fixed part and attributes (type, length, value, padded to
four bytes); the kernel answers each with an error number, 0 for success. `Requests` sends from
the namespace in which its socket was opened, whichever thread uses it. Written by hand: what
the libraries of this field import takes longer than a session's start.

Source: linux/rtnetlink.h, linux/if_link.h, linux/veth.h.
"""

import os
import socket
import struct
from ipaddress import IPv4Address

__all__ = [
    "Request",
    "Requests",
    "address",
    "attribute",
    "bridge",
    "enslave",
    "isolate",
    "pair",
    "route",
    "up",
]

_NEWLINK, _SETLINK, _NEWADDR, _NEWROUTE, _ERROR = 16, 19, 20, 24, 2
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_UP = 1
_IFNAME, _MTU, _MASTER, _PROTINFO, _LINKINFO, _NET_NS_FD = 3, 4, 10, 12, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_BRPORT_ISOLATED = 33
_NESTED = 0x8000
_LOCAL, _ADDRESS, _GATEWAY = 2, 1, 5
_TABLE_MAIN, _STATIC, _UNICAST = 254, 4, 1

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")

Request = tuple[int, int, bytes]
"""Its type, its flags, and its body."""


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def bridge(name: str) -> Request:
    """Make a bridge."""
    info = attribute(_LINKINFO, attribute(_INFO_KIND, b"bridge\0"))
    return _NEWLINK, _CREATE | _EXCLUSIVE, _link(0) + _named(name) + info


def pair(name: str, master: int, peer: str, namespace: int, mtu: int) -> Request:
    """Make a cable: one end here in a bridge, the other in the namespace of a descriptor."""
    size = attribute(_MTU, _number(mtu))
    far = _link(0) + _named(peer) + size + attribute(_NET_NS_FD, _number(namespace))
    data = attribute(_INFO_DATA, attribute(_VETH_PEER, far))
    info = attribute(_LINKINFO, attribute(_INFO_KIND, b"veth\0") + data)
    near = _named(name) + size + attribute(_MASTER, _number(master))
    return _NEWLINK, _CREATE | _EXCLUSIVE, _link(0) + near + info


def enslave(index: int, master: int, mtu: int) -> Request:
    """Put an interface into a bridge, give it the size of its packets, and bring it up."""
    what = attribute(_MTU, _number(mtu)) + attribute(_MASTER, _number(master))
    return _NEWLINK, 0, _link(index, up=True) + what


def isolate(index: int) -> Request:
    """Let a bridge's port talk to those ports only that are not isolated themselves."""
    port = attribute(_PROTINFO | _NESTED, attribute(_BRPORT_ISOLATED, b"\1"))
    header = _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0)
    return _SETLINK, 0, header + port


def up(index: int) -> Request:
    """Bring an interface up."""
    return _NEWLINK, 0, _link(index, up=True)


def address(index: int, own: IPv4Address, length: int) -> Request:
    """Give an interface an address in a network of a prefix length."""
    body = _ADDR.pack(socket.AF_INET, length, 0, 0, index)
    body += attribute(_LOCAL, own.packed) + attribute(_ADDRESS, own.packed)
    return _NEWADDR, _CREATE | _EXCLUSIVE, body


def route(gateway: IPv4Address) -> Request:
    """Send what has no other way to a gateway."""
    body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _TABLE_MAIN, _STATIC, 0, _UNICAST, 0)
    return _NEWROUTE, _CREATE | _EXCLUSIVE, body + attribute(_GATEWAY, gateway.packed)


class Requests:
    """A netlink socket of the namespace of the thread that makes it."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._number = 0

    def send(self, request: Request) -> None:
        """Have a request carried out.

        Raises:
            OSError: the kernel refused.
        """
        kind, flags, body = request
        self._number += 1
        head = _HEADER.pack(
            _HEADER.size + len(body), kind, flags | _REQUEST | _ACK, self._number, 0
        )
        self._socket.send(head + body)
        while True:
            answer = self._socket.recv(1 << 16)
            _, kind, _, number, _ = _HEADER.unpack_from(answer)
            if kind == _ERROR and number == self._number:
                break
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        if code:
            raise OSError(-code, os.strerror(-code))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _link(index: int, *, up: bool = False) -> bytes:
    flags = _UP if up else 0
    return _LINK.pack(0, 0, index, flags, flags)


def _number(value: int) -> bytes:
    return struct.pack("=I", value)


def _named(name: str) -> bytes:
    return attribute(_IFNAME, name.encode() + b"\0")
