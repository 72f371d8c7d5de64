"""A session in a child process, in the mode that a test asks for.

As root all three modes can be had: "ranges" and "single" by giving up CAP_SYS_ADMIN first,
which is also how an engine in an unprivileged container finds itself.
"""

import ctypes
import os
import pickle
import shutil
import struct
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipelines.engine.sandbox import binary, namespace
from pipelines.engine.sandbox.base import Spec
from pipelines.engine.sandbox.bwrap import Bubblewrap

CAP_VERSION_3, CAP_SYS_ADMIN = 0x20080522, 21
CAPSET_BY_MACHINE = {"x86_64": 126, "aarch64": 91}

Body = Callable[["Session"], Coroutine[Any, Any, Any]]


class Session:
    """What a test's body gets: a sandbox, a root filesystem, and a short way to run."""

    def __init__(self, sandbox: Bubblewrap, mode: str, root: Path) -> None:
        self.sandbox = sandbox
        self.mode = mode
        self.root = root

    def spec(self, *args: str, **fields: Any) -> Spec:
        env = fields.pop("env", {"PATH": "/bin"})
        return Spec(str(self.root), args, env, **fields)

    async def run(self, *args: str, **fields: Any) -> tuple[int, str, str]:
        out: list[bytes] = []
        err: list[bytes] = []
        ended = await self.sandbox.run(self.spec(*args, **fields), out.append, err.append)
        return ended.code, b"".join(out).decode(), b"".join(err).decode()

    async def sh(self, script: str, **fields: Any) -> tuple[int, str, str]:
        return await self.run("/bin/sh", "-c", script, **fields)


def session(mode: str, root: Path, body: Body, backend: str = "asyncio") -> Any:
    """Run a body in a session of a mode; skips where that mode can not be had."""

    def inside() -> Any:
        entered = enter_as(mode, root.parent)
        sandbox = Bubblewrap(binary.find(), entered)
        return anyio.run(body, Session(sandbox, entered, root), backend=backend)

    return in_child(inside)


def in_child(function: Callable[[], Any]) -> Any:
    """Fork, call, and give what was returned or raise what went wrong."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = ("value", function())
        except BaseException as exc:  # noqa: BLE001
            kind = "skip" if type(exc).__name__ == "Skipped" else "error"
            answer = (kind, str(exc) if kind == "skip" else traceback.format_exc())
        with os.fdopen(write, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        blob = pipe.read()
    os.waitpid(child, 0)
    kind, value = pickle.loads(blob)
    if kind == "skip":
        pytest.skip(value)
    assert kind == "value", value
    return value


def enter_as(mode: str, scratch: Path) -> namespace.Mode:
    root = os.geteuid() == 0
    if mode == "root" and not root:
        pytest.skip("needs to be root")
    if mode == "single":
        os.environ["PATH"] = "/nonexistent"
    if mode == "ranges" and shutil.which("newuidmap") is None:
        pytest.skip("newuidmap is not installed (package uidmap)")
    if mode == "ranges" and root:
        show_ranges(scratch)
    if mode != "root" and root:
        give_up_administration()
    entered = namespace.enter()
    if mode == "single":
        os.environ["PATH"] = os.defpath + ":/usr/sbin:/sbin"
    if entered != mode:
        pytest.skip(f"a session of this user is {entered!r}, not {mode!r}")
    return entered


def show_ranges(scratch: Path) -> None:
    """Give root ranges, in a mount namespace that ends with the test."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(0x20000) == 0
    assert libc.mount(None, b"/", None, ctypes.c_ulong(0x44000), None) == 0
    ranges = scratch / "subids"
    ranges.write_text("root:100000:65536\n")
    for path in ("/etc/subuid", "/etc/subgid"):
        if libc.mount(bytes(ranges), path.encode(), None, ctypes.c_ulong(0x1000), None):
            pytest.skip(f"{path} is not there to be covered")


def give_up_administration() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    status = Path("/proc/self/status").read_text()
    held = int(next(x for x in status.splitlines() if x.startswith("CapPrm")).split()[1], 16)
    held &= ~(1 << CAP_SYS_ADMIN)
    low, high = held & 0xFFFFFFFF, held >> 32
    header = struct.pack("=Ii", CAP_VERSION_3, 0)
    body = struct.pack("=6I", low, low, 0, high, high, 0)
    number = CAPSET_BY_MACHINE[os.uname().machine]
    assert libc.syscall(number, header, body) == 0
