"""Starting bwrap and learning how it ended, without threads.

    Popen ──fork──▶ bwrap (monitor) ──clone──▶ bwrap (pid 1 inside) ──fork──▶ the command

The monitor says on the status descriptor, as JSON documents: first `child-pid` and
`pid-namespace`, then `exit-code` if the command was executed at all. The monitor ends as soon
as the command has ended; pid 1 is then killed by its parent-death signal, and every process
left in its namespace with it. A run is over when both are gone: only then no process can
write to a mount any more. Both are watched by pidfd, so no number is ever used for a signal
after it may have been given to another process.
"""

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Identity", "Process", "gone", "launch"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom bwrap itself runs as; None leaves everything as it is."""

    uid: int
    gid: int
    groups: tuple[int, ...]


class Process:
    """A started bwrap: its monitor, and pid 1 of its namespace once that is known."""

    def __init__(self, popen: "subprocess.Popen[bytes]", status: int) -> None:
        self._popen = popen
        self._monitor = os.pidfd_open(popen.pid)
        self._first: int | None = None
        self._inside = 0
        self._status = status
        self._said = b""

    @property
    def monitor(self) -> int:
        """A descriptor that becomes readable when the monitor has ended."""
        return self._monitor

    @property
    def first(self) -> int | None:
        """A descriptor that becomes readable when pid 1 and all below it are gone."""
        return self._first

    @property
    def status(self) -> int:
        """The descriptor on which the monitor reports."""
        return self._status

    def hear(self) -> bool | None:
        """Read what the monitor reports: None for nothing yet, False at the end."""
        try:
            said = os.read(self._status, 4096)
        except BlockingIOError:
            return None
        self._said += said
        if said and self._first is None:
            self._watch_first()
        return bool(said)

    @property
    def started(self) -> bool:
        """Whether pid 1 was reported, dead or alive."""
        return b"}" in self._said

    def exit_code(self) -> int | None:
        """Give the command's exit code; None if it was not executed, or killed with pid 1."""
        for document in _documents(self._said):
            if "exit-code" in document:
                return int(document["exit-code"])
        return None

    def signal(self, number: int) -> bool:
        """Send a signal to the command, the one child that pid 1 started."""
        if self._first is None or gone(self._first):
            return False
        found = [_signal_child(pid, self._inside, number) for pid in _children(self._inside)]
        return any(found)

    def kill(self) -> None:
        """Kill pid 1 and the monitor; the kernel kills all else in the namespace."""
        for fd in (self._first, self._monitor):
            if fd is not None:
                _signal(fd)

    def reap(self) -> int:
        """Collect the ended monitor and give its return code, negative for a signal."""
        code = self._popen.wait()
        if self._first is not None:
            # When this process is init or a subreaper, pid 1 has become its child.
            _collect(self._first)
        return code

    def close(self) -> None:
        """Close every descriptor."""
        for fd in (self._monitor, self._first, self._status):
            if fd is not None:
                os.close(fd)

    def _watch_first(self) -> None:
        for document in _documents(self._said):
            if "child-pid" in document:
                self._inside = int(document["child-pid"])
                self._first = _open_verified(self._inside, document.get("pid-namespace"))


def launch(
    command: Sequence[str],
    *,
    executable: str,
    env: Mapping[str, str],
    stdio: tuple[int, int, int],
    fds: Sequence[int],
    status: int,
    identity: Identity | None,
    group: int,
) -> Process:
    """Start bwrap on the thread that calls, in a process group.

    The thread must live as long as the run: `--die-with-parent` is tied to it.
    """
    extra: Mapping[str, Any] = {}
    if identity is not None:  # makes Popen fork instead of vfork, so only when needed
        extra = {
            "user": identity.uid,
            "group": identity.gid,
            "extra_groups": identity.groups,
        }
    popen = subprocess.Popen(
        command,
        executable=executable,
        env=env,
        cwd="/",
        stdin=stdio[0],
        stdout=stdio[1],
        stderr=stdio[2],
        pass_fds=fds,
        process_group=group,
        **extra,
    )
    return Process(popen, status)


def gone(fd: int | None) -> bool:
    """Tell whether the process behind a pidfd has ended."""
    if fd is None:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _documents(said: bytes) -> list[dict[str, Any]]:
    """Read the whole JSON documents out of what was said so far; they hold no braces."""
    return [json.loads(part + b"}") for part in said.split(b"}")[:-1]]


def _open_verified(pid: int, namespace: int | None) -> int | None:
    """Open a pidfd, and make sure that the number was not given to another process since."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        same = namespace is None or os.stat(f"/proc/{pid}/ns/pid").st_ino == namespace
    except OSError:
        same = False
    if not same:
        os.close(fd)
        return None
    return fd


def _signal(fd: int) -> None:
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return


def _children(parent: int) -> list[int]:
    """List a process's children; all of /proc is looked at where the kernel keeps no list."""
    try:
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _signal_child(pid: int, parent: int, number: int) -> bool:
    """Signal a process if it still is the child that was meant."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            meant = int(file.read().rpartition(")")[2].split()[1]) == parent
        if meant:
            signal.pidfd_send_signal(fd, number)
    except OSError:
        return False
    else:
        return meant
    finally:
        os.close(fd)


def _collect(fd: int) -> None:
    try:
        os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return
