"""`pipelines proxy`: keep Go modules near, and serve them while upstream does not.

The same program stands behind `pipelines run --proxy`, which gives it a socket that listens
already (`--fd`) and ends it by closing its standard input (`--until-eof`).
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._errors import UsageError

if TYPE_CHECKING:
    import anyio

__all__ = ["beside", "main"]

DEFAULT_BYTES = 4 << 30
GRACE_SECONDS = 5.0
SUMS = ("go.sum", "go.work.sum")


def main(argv: Sequence[str]) -> int:
    """Serve until a signal, or the end of standard input; give the exit code."""
    options = _parser().parse_args(argv)
    import anyio

    from pipelines.proxy import service, upstream
    from pipelines.proxy.sums import read_sums

    try:
        known = read_sums(options.sums)
    except OSError as exc:
        raise UsageError(f"--sums takes files such as go.sum: {exc}") from exc
    chain = upstream.split(upstream.configured(os.environ))
    try:
        listening = (
            socket.socket(fileno=options.fd)
            if options.fd is not None
            else service.listen(options.host, options.port)
        )
    except OSError as exc:
        raise UsageError(f"cannot listen on {options.host}:{options.port}: {exc}") from exc
    if options.fd is None:
        _introduce(listening, chain.rest, upstream.first(chain))

    async def play() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_signalled, group.cancel_scope)
            if options.until_eof:
                group.start_soon(_until_eof, group.cancel_scope)
            await service.run(listening, chain, _directory(options), options.max_bytes, known)

    anyio.run(play)
    return 0


@contextmanager
def beside(directory: Path) -> Iterator[None]:
    """Run a proxy beside the block, as GOPROXY of this process and of what it starts.

    Raises:
        UsageError: nobody says where modules come from.
    """
    from pipelines._session import environment
    from pipelines.proxy.upstream import configured, split

    chain = split(configured(os.environ))
    before = os.environ.get("GOPROXY")
    sums = [f"--sums={path}" for name in SUMS if (path := directory / name).is_file()]
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "pipelines.cli.main", "proxy", "--until-eof"),
                *(f"--fd={listening.fileno()}", *sums),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(listening.fileno(),),
            env=environment(os.environ),
            process_group=0,
        )
    os.environ["GOPROXY"] = f"http://127.0.0.1:{port}{chain.rest}"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GOPROXY"]
        else:
            os.environ["GOPROXY"] = before
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _introduce(listening: socket.socket, rest: str, servers: Sequence[str]) -> None:
    host, port = listening.getsockname()[:2]
    sys.stdout.write(f"export GOPROXY=http://{host}:{port}{rest}\n")
    sys.stdout.flush()
    sys.stderr.write(f"modules of {', '.join(servers)}; ^C ends\n")


def _directory(options: argparse.Namespace) -> Path:
    if options.directory:
        return Path(options.directory)
    from pipelines.engine.store.layout import Layout

    return Layout.open().root / "proxy"


async def _until_signalled(scope: "anyio.CancelScope") -> None:
    import anyio

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _until_eof(scope: "anyio.CancelScope") -> None:
    import anyio

    while True:
        await anyio.wait_readable(0)
        if not os.read(0, 4096):
            scope.cancel()
            return


def _bytes(text: str) -> int:
    import re

    if (found := re.fullmatch(r"(\d+)([KMGT]?)(?:i?B)?", text.strip())) is None:
        raise argparse.ArgumentTypeError(f"{text!r}: a size such as 4GiB is wanted")
    return int(found[1]) << 10 * "_KMGT".index(found[2] or "_")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pipelines proxy", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="the port; by default a free one")
    parser.add_argument("--directory", help="where modules are kept; by default in the store")
    parser.add_argument("--max-bytes", type=_bytes, default=DEFAULT_BYTES, metavar="SIZE")
    parser.add_argument(
        "--sums", type=Path, action="append", default=[], metavar="GO.SUM",
        help="refuse modules whose hashes are not those of this file (may be repeated)",
    )  # fmt: skip
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)
    return parser
