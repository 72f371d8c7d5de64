"""A session: one process, one line on stdout, one life.

    $ pipelines session
    {"port": 40123, "session_token": "…"}

Theory of operation
    The process first enters its own mount namespace (`sandbox.namespace`), while it has one
    thread and nothing heavy is imported: every mount that it will ever make dies with it.
    Then it listens, prints the line, and only then imports and puts together everything else:
    the client has its own start to make meanwhile, and its first query waits in the socket.

    It ends when its standard input ends, or by SIGTERM or SIGINT: queries are cancelled, every
    command is killed, mounts and leases are released, and the process exits. If it is killed
    instead, the kernel does the same: namespaces, locks and children go with the process,
    and the next start removes what lies about.

Arguments that Dagger's SDKs pass and that mean nothing here (`--label`, `--project`, …) are
accepted. Source: dagger `cmd/dagger/session.go`; SDK `provisioning/_session.py`.
"""

import base64
import gc
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import CancelScope

    from pipelines.engine.engine import Engine
    from pipelines.engine.names.pins import Mode as Lock
    from pipelines.engine.sandbox.namespace import Mode
    from pipelines.engine.server import Server

    Trust = Literal["use", "verify", "off"]

__all__ = ["Options", "main", "parse"]

WITH_VALUE = ("--label", "--project", "--workspace", "-W", "--progress")
WITHOUT_VALUE = ("--load-workspace-modules", "--skip-workspace-modules", "--silent", "-s")
TRUSTS: dict[str, "Trust"] = {"use": "use", "verify": "verify", "off": "off"}
LOCKS: dict[str, "Lock"] = {"--locked": "locked", "--relock": "update"}
USAGE = 2
ENGINE_UNREACHABLE = 5
INTERNAL = 70


@dataclass(frozen=True, slots=True)
class Options:
    """How a session was asked to run; `events` is a file descriptor or None.

    `lock` is "locked" or "update" if `pipelines.lock` must have every name, or counts nothing.
    """

    workdir: str = "."
    jobs: int = 0
    events: int | None = None
    version: bool = False
    lock: "Lock" = "use"
    trust: "Trust" = "use"


def parse(arguments: Sequence[str]) -> Options:
    """Read a session's arguments.

    Raises:
        ValueError: an argument is unknown or lacks its value; the text says which.
    """
    options = Options()
    rest = list(arguments)
    while rest:
        name, joined, value = rest.pop(0).partition("=")
        if name == "--version":
            options = replace(options, version=True)
            continue
        if name in WITHOUT_VALUE:
            continue
        if name in LOCKS:
            options = replace(options, lock=LOCKS[name])
            continue
        if name not in {*WITH_VALUE, "--workdir", "--jobs", "--events", "--trust"}:
            raise ValueError(f"unknown argument of `pipelines session`: {name}")
        if not joined:
            if not rest:
                raise ValueError(f"{name} needs a value")
            value = rest.pop(0)
        options = _set(options, name, value)
    return options


def _set(options: Options, name: str, value: str) -> Options:
    if name == "--workdir":
        return replace(options, workdir=value)
    if name == "--trust":
        if value not in TRUSTS:
            raise ValueError(f"--trust takes use, verify or off, not {value!r}")
        return replace(options, trust=TRUSTS[value])
    if name in {"--jobs", "--events"}:
        if not value.isdigit():
            raise ValueError(f"{name} takes a number, not {value!r}")
        number = int(value)
        return (
            replace(options, jobs=number) if name == "--jobs" else replace(options, events=number)
        )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a session to its end; the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["--cache"]:
        return _upkeep(given[1:])
    if given[:1] == ["--pin"]:
        return _pin()
    try:
        options = parse(given)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return USAGE
    if options.version:
        from pipelines.engine.version import VERSION

        sys.stdout.write(f"{VERSION}\n")
        return 0
    from pipelines.engine.sandbox import namespace

    try:
        mode = namespace.enter()
        listening, token = _listen()
        import anyio

        anyio.run(_session, options, mode, listening, token)
    except Exception as error:  # noqa: BLE001 - the end of the process: said, never swallowed
        return _report(_first(error))
    return 0


def _upkeep(arguments: Sequence[str]) -> int:
    """Look after the store, where a session would see it."""
    from pipelines.engine.sandbox import namespace

    try:
        mode = namespace.enter()
        from pipelines.engine import upkeep

        return upkeep.main(arguments, mode)
    except Exception as error:  # noqa: BLE001 - the end of the process: said, never swallowed
        return _report(error)


def _pin() -> int:
    """Find out what the moving names on standard input stand for now."""
    from pipelines.engine.sandbox import namespace

    try:
        mode = namespace.enter()
        from pipelines.engine import relock

        return relock.main(mode)
    except Exception as error:  # noqa: BLE001 - the end of the process: said, never swallowed
        return _report(error)


def _report(error: BaseException) -> int:
    """Say why the session could not go on; the exit code."""
    from pipelines.engine.errors import EngineError

    if isinstance(error, EngineError):
        sys.stderr.write(f"error: {error}\n")
        return ENGINE_UNREACHABLE
    import traceback

    traceback.print_exception(error)
    sys.stderr.write("error: this is a bug in the embedded engine; please report it\n")
    return INTERNAL


def _first(error: BaseException) -> BaseException:
    """Take the first leaf of a group: the others are its consequences."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _listen() -> tuple[socket.socket, str]:
    """Listen on a free port of loopback, and tell the client where."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    token = base64.urlsafe_b64encode(os.urandom(24)).decode()
    line = {"port": listening.getsockname()[1], "session_token": token}
    os.write(1, (json.dumps(line) + "\n").encode())
    return listening, token


async def _session(options: Options, mode: "Mode", listening: socket.socket, token: str) -> None:
    import anyio

    from pipelines.engine.server import Request, Server

    async def answer(request: Request) -> bytes:
        return await (await engine.get()).answer(request)

    server = Server(answer, token, listening.getsockname()[1])
    engine = _Later(options, mode, server)

    async with anyio.create_task_group() as group:
        group.start_soon(_until_stdin_ends, group.cancel_scope)
        group.start_soon(_until_signalled, group.cancel_scope, engine.stop)
        group.start_soon(engine.run)
        await server.serve(listening)


class _Later:
    """The engine, put together while the client is still starting."""

    def __init__(self, options: Options, mode: "Mode", doors: "Server") -> None:
        import anyio

        self._doors = doors
        self._options = options
        self._mode = mode
        self._ready = anyio.Event()
        self._engine: Engine | None = None

    async def get(self) -> "Engine":
        """Wait for the engine."""
        if self._engine is None:
            await self._ready.wait()
        assert self._engine is not None
        return self._engine

    def stop(self) -> None:
        """End soon, by a signal."""
        if self._engine is not None:
            self._engine.stop()

    async def run(self) -> None:
        """Open the engine and keep it for the session."""
        import anyio

        from pipelines.engine.engine import opened
        from pipelines.engine.wiring.assembly import Settings

        jobs = self._options.jobs or len(os.sched_getaffinity(0))
        options = self._options
        settings = Settings(
            options.workdir,
            jobs,
            self._mode,
            options.events,
            options.lock,
            options.trust,
            doors=self._doors,
            insecure=os.environ.get("PIPELINES_ALLOW_INSECURE") == "1",
        )
        async with opened(settings) as engine:
            # What was imported and assembled stays: the collector need not look at it again.
            gc.freeze()
            gc.set_threshold(50_000, 20, 100)
            self._engine = engine
            self._ready.set()
            await anyio.sleep_forever()


async def _until_stdin_ends(scope: "CancelScope") -> None:
    """End the session when the client closes our standard input."""
    import anyio

    while True:
        try:
            await anyio.wait_readable(0)
            data = os.read(0, 4096)
        except OSError:
            data = b""
        if not data:
            scope.cancel()
            return


async def _until_signalled(scope: "CancelScope", stop: "Callable[[], None]") -> None:
    """End the session on SIGTERM or SIGINT."""
    import signal

    import anyio

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop()
            scope.cancel()
            return


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
