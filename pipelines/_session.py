"""The embedded engine's session process, seen from outside.

It prints one JSON line with its port and token, serves until its stdin is closed, and tells what it
does as JSON lines on a pipe of its own (`--events`). This module needs no SDK: the process is
started first, and gets ready while the SDK is imported.
"""

import collections
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from pipelines._errors import EngineUnavailable, UsageError
from pipelines._processes import ended
from pipelines._trust import Trust

if TYPE_CHECKING:
    from pipelines.caches.settings import Settings

__all__ = ["Address", "Session", "caches", "command", "environment"]

_READY_SECONDS = 60.0
_GRACE_SECONDS = 5.0
_LOCKS = {"use": [], "locked": ["--locked"], "update": ["--relock"]}
_LOOK_SECONDS = 1.0
_TAIL_LINES = 50


@dataclass(frozen=True, slots=True)
class Address:
    """Where a session listens, and the token that it accepts."""

    port: int
    token: str


def command(*arguments: str) -> list[str]:
    """Give the command line of the engine's process.

    `-P` keeps the current directory, which is somebody's repository, off the module search path.
    """
    return [sys.executable, "-P", "-m", "pipelines.engine.session", *arguments]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of the engine's process: it must find this very package."""
    root = str(Path(__file__).parent.parent)
    if "site-packages" in root or "dist-packages" in root:
        return dict(environ)
    paths = [root, *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, "PYTHONPATH": os.pathsep.join(paths)}


def caches(directory: Path, environ: Mapping[str, str]) -> "Settings | None":
    """Read the settings of travelling caches as a session of this directory will.

    Raises:
        UsageError: `[tool.pipelines.cache]`, or a variable that overrides it, is wrong.
    """
    from pipelines.caches import settings

    try:
        mentioned = settings.mentioned(directory, environ)
        return settings.load(directory, environ) if mentioned else None
    except settings.SettingsError as exc:
        raise UsageError(str(exc)) from exc


class Session:
    """A running session process. `start` returns at once, `address` waits until it is ready."""

    def __init__(
        self, process: subprocess.Popen[bytes], listeners: Sequence[threading.Thread]
    ) -> None:
        self.process = process
        self._listeners = listeners
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        self._address: Address | None = None
        self._saving = 0.0
        self.cache: Trust = "use"

    @classmethod
    def start(
        cls,
        *,
        jobs: int | None = None,
        workdir: str | os.PathLike[str] | None = None,
        listen: Callable[[dict[str, Any]], None] | None = None,
        lock: Literal["use", "locked", "update"] = "use",
        cache: Trust = "use",
        program: Sequence[str] = (),
    ) -> "Session":
        """Start the process; `program` stands in for the embedded engine's own.

        `listen` is called with every event, from two threads. `lock` says whether
        `pipelines.lock` must have every name that moves ("locked"), or counts nothing ("update").

        Raises:
            UsageError: `[tool.pipelines.cache]`, or a variable that overrides it, is wrong.
            EngineUnavailable: the process can not be started.
        """
        caches(Path(workdir or "."), os.environ)  # a mistake ends here, while words help
        reading, writing = os.pipe()
        try:
            options = ["--events", str(writing), *(["--jobs", str(jobs)] if jobs else [])]
            options += [*_LOCKS[lock], *(["--trust", cache] if cache != "use" else [])]
            process = subprocess.Popen(
                [*(program or command()), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(writing,),
                cwd=workdir,
                env=environment(os.environ),
                process_group=0,  # a ^C in the terminal is the command's to handle
            )
        except OSError as exc:
            os.close(reading)
            raise EngineUnavailable(f"cannot start the embedded engine: {exc}") from exc
        finally:
            os.close(writing)
        session = cls(process, listeners := [])
        session.cache = cache
        assert process.stderr is not None
        for target, stream in (
            (session._read_events, os.fdopen(reading, "rb")),
            (session._read_stderr, process.stderr),
        ):
            thread = threading.Thread(target=target, args=(stream, listen), daemon=True)
            thread.start()
            listeners.append(thread)
        return session

    def address(self, timeout: float = _READY_SECONDS) -> Address:
        """Wait for the session to be ready.

        Raises:
            EngineUnavailable: it ended or said something else first; the message has its words.
        """
        if self._address is None:
            line = self._first_line(timeout)
            try:
                said = json.loads(line)
                self._address = Address(int(said["port"]), str(said["session_token"]))
            except (ValueError, TypeError, KeyError) as exc:
                self.close()
                raise EngineUnavailable(self._why_not(line)) from exc
        return self._address

    def close(self, grace: float = _GRACE_SECONDS) -> None:
        """Ask the session to end, wait for `grace` seconds, then kill it.

        A session that saves a travelling cache says for how long it may.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        began = time.monotonic()
        while (left := began + grace + self._saving - time.monotonic()) > 0:
            if ended(self.process, min(left, _LOOK_SECONDS if self._saving else grace)):
                break
        else:
            self.kill()
        for thread in self._listeners:
            thread.join(1.0)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def kill(self) -> None:
        """End the process now. Its mounts and commands end with it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def epitaph(self) -> str:
        """Say how the process ended, with its last words; empty while it runs."""
        if self.process.poll() is None:
            return ""
        words = "".join(f"\n  {line}" for line in self._tail)
        return f"the embedded engine ended with exit code {self.process.returncode}{words}"

    def _first_line(self, timeout: float) -> bytes:
        assert self.process.stdout is not None
        descriptor, line = self.process.stdout.fileno(), b""
        deadline = time.monotonic() + timeout
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                break
            if not (piece := os.read(descriptor, 4096)):
                break
            line += piece
        return line

    def _why_not(self, line: bytes) -> str:
        words = "\n".join(self._tail).strip()
        if words:
            return words
        said = line.decode(errors="replace").strip() or "nothing"
        return (
            "the embedded engine did not start: instead of its port it printed "
            f"{said}, exit code {self.process.returncode}; "
            "`pipelines session` shows why, `--engine dagger` runs on the Dagger engine"
        )

    def _read_events(
        self, stream: IO[bytes], listen: Callable[[dict[str, Any]], None] | None
    ) -> None:
        with stream:
            for line in stream:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # cut off when the process was killed
                if not isinstance(event, dict):
                    continue
                if event.get("event") == "cache" and event.get("state") == "saving":
                    self._saving = float(event.get("budget", 0.0))
                if listen:
                    listen(event)

    def _read_stderr(
        self, stream: IO[bytes], listen: Callable[[dict[str, Any]], None] | None
    ) -> None:
        with stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip("\n")
                self._tail.append(line)
                if listen:
                    listen({"event": "stderr", "text": line})
