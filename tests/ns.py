"""Run a function in a child process with a mount namespace of its own.

pytest never mounts: what a child mounts goes away with it. As root the child unshares its
mount namespace; as anybody else a user namespace too, with its own id mapped to root (which
is what the engine does without subordinate ids).
"""

import ctypes
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["ChildFailed", "in_namespace", "reason_not"]

T = TypeVar("T")

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_REC_PRIVATE = 0x4000 | 0x40000
_SIGKILL_ON_PARENT_DEATH = 1


class ChildFailed(AssertionError):
    """The function raised in the child; the message is its traceback."""


def in_namespace(function: Callable[..., T], *arguments: Any, userns: bool | None = None) -> T:
    """Fork, unshare, call; give what the function returned (pickled), or raise `ChildFailed`.

    `userns=True` takes a user namespace with a single id also as root.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _serve(writer, function, arguments, userns=os.geteuid() != 0 if userns is None else userns)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        blob = pipe.read()
    _, status = os.waitpid(child, 0)
    if not blob:
        code = os.waitstatus_to_exitcode(status)
        raise ChildFailed(f"the child ended without an answer: {code}")
    kind, value = pickle.loads(blob)
    if kind == "skip":
        import pytest

        pytest.skip(value)
    if kind == "error":
        raise ChildFailed(value)
    return value


def reason_not(*, userns: bool | None = None) -> str:
    """Why namespaces can not be had here; "" if they can."""
    try:
        return in_namespace(str, userns=userns)
    except ChildFailed as exc:
        return str(exc).strip().splitlines()[-1]


def _serve(writer: int, function: Callable[..., Any], arguments: Any, *, userns: bool) -> None:
    answer: tuple[str, Any]
    try:
        _unshare(userns=userns)
        answer = ("value", function(*arguments))
    except BaseException as exc:  # noqa: BLE001 - the parent raises it again
        skipped = type(exc).__name__ == "Skipped"
        answer = ("skip", str(exc)) if skipped else ("error", traceback.format_exc())
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(pickle.dumps(answer))
    os._exit(0)


def _unshare(*, userns: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SIGKILL_ON_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
    uid, gid = os.geteuid(), os.getegid()
    _check(libc.unshare(_NEWNS | (_NEWUSER if userns else 0)), "unshare")
    if userns:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    _check(libc.mount(b"none", b"/", None, ctypes.c_ulong(_REC_PRIVATE), None), "make / private")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
