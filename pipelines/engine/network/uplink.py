"""The way out of a private network, without touching the machine's configuration.

slirp4netns is a TCP/IP stack in a process: it opens a tap device in the session's network and
ordinary sockets outside. No address, rule or setting of the machine changes; it needs no
rights but over the session's own namespaces, and /dev/net/tun. It watches a pipe of which only
the session holds the other end, so that it ends with the session however that ends.
"""

import os
import select
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network

__all__ = ["MTU", "NoUplink", "Uplink", "command", "start"]

MTU = 65520
PATIENCE = 5.0
_TUN = "/dev/net/tun"
_INSTALL = "install the package slirp4netns for private networks"


class NoUplink(Exception):
    """There is no way out of a private network here; the text says why and what to do."""


class Uplink:
    """A running slirp4netns; its tap is in the network's namespace."""

    def __init__(self, process: "subprocess.Popen[bytes]", leash: int) -> None:
        self._process = process
        self._leash = leash

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it and collect it."""
        os.close(self._leash)
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def command(
    program: str, network: IPv4Network, path: str, ready: int, leash: int, *, confined: bool
) -> list[str]:
    """Spell slirp4netns for a network and the namespace at a path."""
    confinement = ["--enable-sandbox", "--enable-seccomp"] if confined else []
    return [
        program,
        *confinement,
        "--disable-host-loopback",
        f"--cidr={network}",
        f"--mtu={MTU}",
        f"--ready-fd={ready}",
        f"--exit-fd={leash}",
        "--netns-type=path",
        path,
        "tap0",
    ]


def start(network: IPv4Network, path: str, group: int, search: str | None = None) -> Uplink:
    """Start slirp4netns in a process group and wait until its tap is there; blocks.

    Raises:
        NoUplink: it is not installed, or does not start.
    """
    program = shutil.which("slirp4netns", path=search)
    if program is None:
        raise NoUplink(f"slirp4netns is not installed; {_INSTALL}")
    if not os.access(_TUN, os.R_OK | os.W_OK):
        raise NoUplink(f"{_TUN} cannot be opened by this user; as root: `chmod 0666 {_TUN}`")
    said = ""
    for confined in (True, False):
        uplink, said = _try(program, network, path, group, confined=confined)
        if uplink is not None:
            return uplink
    raise NoUplink(f"slirp4netns does not start: {said or 'it says nothing'}")


def _try(
    program: str, network: IPv4Network, path: str, group: int, *, confined: bool
) -> tuple[Uplink | None, str]:
    ready, leash, said = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC), os.memfd_create("said")
    words = command(program, network, path, ready[1], leash[0], confined=confined)
    try:
        process = _spawn(words, (ready[1], leash[0]), said, group)
        os.close(ready[1])
        if _answered(ready[0]):
            return Uplink(process, leash[1]), ""
        process.kill()
        process.wait()
        os.close(leash[1])
        return None, os.pread(said, 1000, 0).decode("utf-8", "replace").strip()
    finally:
        for fd in (ready[0], leash[0], said):
            os.close(fd)


def _spawn(
    words: Sequence[str], passed: Sequence[int], said: int, group: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        pass_fds=passed,
        process_group=group,
        cwd="/",
        env={},  # it outlives commands, and what the session was given is none of its business
    )


def _answered(ready: int) -> bool:
    """Wait for the word that the tap is there; the end of the pipe is the end of the program."""
    with suppress(OSError):
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        return bool(poll.poll(PATIENCE * 1000)) and os.read(ready, 1) == b"1"
    return False
