"""Running the host's git: found, of a version that can be kept in bounds, ended with us.

Git and what it starts join the session's process group `group` (see `sandbox.guard`), so that
none outlives a session that is killed. A cancelled run gets SIGTERM first: git then removes
its lock files and ends its children.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from pipelines.engine.errors import SourceError

__all__ = ["Git", "Ran", "find"]

_OLDEST = (2, 32)  # GIT_CONFIG_GLOBAL, without which the user's configuration can not be left out
_GRACE = 5.0
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished git: its exit code and both streams."""

    code: int
    stdout: bytes
    stderr: str


def find(environ: Mapping[str, str]) -> str:
    """Give the path of git.

    Raises:
        SourceError: it is not there, or too old.
    """
    found = shutil.which("git", path=environ.get("PATH"))
    if found is None:
        raise SourceError(
            "git sources need the program git, which is not on PATH; install it (Debian and "
            "Ubuntu: `apt-get install git`, Fedora: `dnf install git`, Alpine: `apk add git`), "
            "or run on the Dagger engine: --engine dagger"
        )
    said = subprocess.run(
        [found, "--version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    ).stdout
    version = re.search(r"(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST:
        raise SourceError(
            f"git sources need git 2.32 or newer, {found} says {said.strip()!r}; upgrade it"
        )
    return found


class Git:
    """The host's git."""

    def __init__(self, program: str, group: int | None = None) -> None:
        self._program = program
        self._group = group

    async def run(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | str = "/",
        stdin: bytes = b"",
    ) -> Ran:
        """Run one command to its end."""
        process = self._start(arguments, env, cwd)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = bytearray(), bytearray()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_write, process.stdin.fileno(), stdin, process)
                group.start_soon(_read, process.stdout.fileno(), out)
                group.start_soon(_read, process.stderr.fileno(), err)
            code = await _ended(process)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _end(process)
            raise
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if not pipe.closed:
                    pipe.close()
        return Ran(code, bytes(out), err.decode("utf-8", "replace"))

    def _start(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | str
    ) -> "subprocess.Popen[bytes]":
        try:
            process = subprocess.Popen(
                [self._program, *arguments],
                env=env,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                umask=0o022,
                process_group=self._group if self._group is not None else 0,
            )
        except OSError as exc:
            raise SourceError(f"starting {self._program}: {exc.strerror} ({exc.filename})") from exc
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        return process


async def _write(fd: int, data: bytes, process: "subprocess.Popen[bytes]") -> None:
    left = memoryview(data)
    while left:
        await anyio.wait_writable(fd)
        try:
            left = left[os.write(fd, left[:_PIECE]) :]
        except BrokenPipeError:
            break
    assert process.stdin is not None
    process.stdin.close()


async def _read(fd: int, into: bytearray) -> None:
    while True:
        await anyio.wait_readable(fd)
        piece = os.read(fd, _PIECE)
        if not piece:
            return
        into += piece


async def _ended(process: "subprocess.Popen[bytes]") -> int:
    if process.returncode is not None:  # collected by a signal that came too late
        return process.returncode
    descriptor = os.pidfd_open(process.pid)
    try:
        await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)
    return process.wait()


async def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask, then kill; returns when it is gone."""
    process.send_signal(signal.SIGTERM)
    with anyio.move_on_after(_GRACE):
        await _ended(process)
    if process.returncode is None:
        process.kill()
        await _ended(process)
