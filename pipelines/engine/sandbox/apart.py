"""Run a program of the host apart: `python -m pipelines.engine.sandbox.apart [--single] COMMAND…`.

For programs that make root filesystems. They mount, start daemons by mistake, and must not
outlive the session; so the program gets

    a mount namespace   its mounts are gone with it, and no removal ever goes through one
    a pid namespace     whatever it started is killed with it
    a death signal      it ends when the thread that started it does
    with --single       success for every change of ownership, as commands get it in a session
                        with a single id

A process namespace needs a first process that collects orphans; that is this program's child,
the command is its grandchild. Everything is one exec from a process without threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.seccomp import ownership

__all__ = ["main", "prefix"]

_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_MS_REC = 0x4000
_MS_SLAVE = 1 << 19
_MS_HARMLESS = 0x2 | 0x4 | 0x8  # nosuid, nodev, noexec
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_NOT_STARTED = 127


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def prefix(*, single: bool) -> list[str]:
    """Give the words to put before a command."""
    own = [sys.executable, "-P", "-m", "pipelines.engine.sandbox.apart"]
    return [*own, "--single"] if single else own


def main(arguments: Sequence[str]) -> int:
    """Run a command apart; give its exit code, or 128 and the signal that ended it."""
    single = arguments[:1] == ["--single"]
    command = list(arguments[1:] if single else arguments)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _die_with_parent(libc)
        _check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID), "unshare")
        _check(libc.mount(None, b"/", None, _MS_REC | _MS_SLAVE, None), "mounting / as a slave")
        if single:
            _pretend(libc)
    except SandboxError as exc:
        sys.stderr.write(f"{exc}\n")
        return _NOT_STARTED
    first = os.fork()
    if first == 0:
        _be_first(libc, command)
    return _code(os.waitpid(first, 0)[1])


def _be_first(libc: ctypes.CDLL, command: list[str]) -> NoReturn:
    """Be the first process of the namespace: start the command, collect everything else."""
    code = _NOT_STARTED
    try:
        _die_with_parent(libc)
        # A /proc that is partly covered (in containers) can not be mounted anew; the old one
        # then stays, and shows more than there is.
        libc.mount(b"proc", b"/proc", b"proc", _MS_HARMLESS, None)
        child = os.fork()
        if child == 0:
            _start(command)
        while True:
            pid, status = os.wait()
            if pid == child:
                code = _code(status)
                break
    finally:
        os._exit(code)


def _start(command: list[str]) -> NoReturn:
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as exc:
        os.write(2, f"{command[0]}: {exc.strerror}\n".encode())
    finally:
        os._exit(_NOT_STARTED)


def _die_with_parent(libc: ctypes.CDLL) -> None:
    _check(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def _pretend(libc: ctypes.CDLL) -> None:
    """Install the filter that answers changes of ownership."""
    code = ownership()
    held = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(held))
    done = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    _check(done, "installing a seccomp filter")


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _check(result: int, what: str) -> None:
    if result != 0:
        why = os.strerror(ctypes.get_errno())
        raise SandboxError(f"running a program apart: {what}: {why}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
