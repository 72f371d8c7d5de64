"""The bubblewrap backend.

One run is one task and no thread. All descriptors of a run (both output pipes, the status
pipe, the pidfds) are watched by one epoll descriptor, and that is what the event loop waits
for; so a run costs the loop one registration however much happens in it.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio

from pipelines.engine import machines
from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox import argv, capabilities
from pipelines.engine.sandbox import binary as binaries
from pipelines.engine.sandbox.base import Exit, Running, Spec
from pipelines.engine.sandbox.diagnosis import Preamble, explain
from pipelines.engine.sandbox.guard import Guard
from pipelines.engine.sandbox.namespace import Mode
from pipelines.engine.sandbox.seccomp import program
from pipelines.engine.sandbox.spawn import Identity, Process, launch
from pipelines.engine.sandbox.userns import UserNamespaces
from pipelines.engine.sandbox.watch import Sink, Watch

if TYPE_CHECKING:
    from pipelines.engine.sandbox.emulation import Rule

__all__ = ["Bubblewrap"]


class Bubblewrap:
    """Runs commands with bwrap; made after `namespace.enter`, used from one event loop.

    Args:
        binary: path of a bwrap of version 0.8 or later (`binary.find`).
        mode: what `namespace.enter` returned.
    """

    def __init__(self, binary: str, mode: Mode) -> None:
        self._binary = binary
        self._mode: Mode = mode
        self._staged = binaries.stage(binary)
        self._env = binaries.environment(binary, self._staged)
        self._executable = binary if self._staged is None else f"/proc/self/fd/{self._staged}/bwrap"
        self._filter = _memory("seccomp", program(single=mode == "single"))
        self._masks = argv.masks(_kinds())
        self._capabilities = capabilities.available(capabilities.DEFAULT)
        self._namespaces = UserNamespaces(mode)
        self._guard = Guard()

    @property
    def group(self) -> int:
        """The process group that ends with the session, whoever else wants to be in it."""
        return self._guard.group

    def close(self) -> None:
        """Give back the descriptors that are kept between runs."""
        self._guard.close()
        self._namespaces.close()
        for fd in (self._staged, self._filter):
            if fd is not None:
                os.close(fd)

    async def run(
        self,
        spec: Spec,
        stdout: Sink,
        stderr: Sink,
        started: Callable[[Running], None] | None = None,
    ) -> Exit:
        """Run to the end; see `Sandbox.run`."""
        preamble = Preamble(stderr)
        out, err = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        try:
            process = self._start(spec, out[1], err[1])
        except BaseException:
            os.close(out[0])
            os.close(err[0])
            raise
        finally:
            os.close(out[1])
            os.close(err[1])
        if started is not None:
            started(process)
        try:
            code = await _finish(process, {out[0]: stdout, err[0]: preamble.write})
        finally:
            process.close()
            os.close(out[0])
            os.close(err[0])
        return explain(spec, process.exit_code(), code, preamble)

    def _start(self, spec: Spec, out: int, err: int) -> Process:
        status = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        opened = [status[1]]
        try:
            stdin = os.open(spec.stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            opened.append(stdin)
            # Its own open file: an offset shared by runs at once would be moved under bwrap.
            seccomp = os.open(f"/proc/self/fd/{self._filter}", os.O_RDONLY | os.O_CLOEXEC)
            opened.append(seccomp)
            userns = self._namespaces.descriptor(spec.uid, _rule(spec.platform))
            guard = None if spec.insecure else seccomp
            fds = argv.Descriptors(guard, status[1], userns, self._staged)
            given = (
                capabilities.available(capabilities.ALL) if spec.insecure else self._capabilities
            )
            options = argv.arguments(spec, fds, self._masks, given)
            args = _memory("args", argv.encode(options))
            opened.append(args)
            passed = (fds.seccomp, fds.status, fds.userns, fds.binary, args)
            identity = _identity(spec, self._mode)

            def start() -> Process:
                return launch(
                    ["bwrap", "--args", str(args), "--", *spec.args],
                    executable=self._executable,
                    env=self._env,
                    stdio=(stdin, out, err),
                    fds=[fd for fd in passed if fd is not None],
                    status=status[0],
                    identity=identity,
                    group=self._guard.group,
                )

            process = start() if spec.inside is None else spec.inside.do(start)
        except OSError as exc:
            os.close(status[0])
            raise SandboxError(
                f"starting {self._binary} for {spec.args[0]!r}: {exc.strerror or exc} "
                f"({exc.filename})"
            ) from exc
        except BaseException:
            os.close(status[0])
            raise
        finally:
            for fd in opened:
                os.close(fd)
        return process


async def _finish(process: Process, outputs: Mapping[int, Sink]) -> int:
    """Wait for the end, or bring it about when cancelled; no process is left either way."""
    watch = Watch(process, outputs)
    try:
        while not watch.over:
            await watch.turn()
        watch.drain()
    except BaseException:
        watch.silence()
        with anyio.CancelScope(shield=True):
            while not watch.over:
                # A monitor that dies before it has released pid 1 would leave it waiting for
                # ever; it says so microseconds after the start.
                if process.started:
                    process.kill()
                await watch.turn()
        process.reap()
        raise
    finally:
        watch.close()
    return process.reap()


def _identity(spec: Spec, mode: Mode) -> Identity | None:
    """Decide whom bwrap has to run as; a session with a single id has but one answer."""
    if spec.uid == 0 and spec.gid == 0 and (mode == "single" or not spec.groups):
        return None
    if mode == "single":
        raise SandboxError(
            f"running {spec.args[0]!r} with group {spec.gid}: this session has a single group id, "
            "root's; install the package uidmap and give the user who runs pipelines a range in "
            "/etc/subuid and /etc/subgid, or run the command without a group"
        )
    return Identity(spec.uid, spec.gid, spec.groups)


def _rule(platform: str) -> "Rule | None":
    """Find the emulator that a platform needs; this machine's own needs none."""
    if platform in {"", machines.platform()}:
        return None
    from pipelines.engine.sandbox.emulation import emulator

    return emulator(platform)


def _memory(name: str, content: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    _write_all(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _write_all(fd: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]


def _kinds() -> dict[str, str]:
    """Look at what this kernel has of the paths that are masked."""
    kinds = {}
    for path in argv.candidates():
        if os.path.isdir(path):
            kinds[path] = "dir"
        elif os.path.exists(path):
            kinds[path] = "file"
    return kinds
