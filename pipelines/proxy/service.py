"""The proxy put together: a listening socket, a directory, an upstream, the sums to hold it to."""

import socket
import traceback
from pathlib import Path

from pipelines.proxy.protocol import parse
from pipelines.proxy.pull import Pull
from pipelines.proxy.server import serve
from pipelines.proxy.shelf import Shelf
from pipelines.proxy.sums import Refused, Sums
from pipelines.proxy.upstream import Chain, Failed, NotThere, Upstream

__all__ = ["listen", "run"]


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Listen; whoever connects waits until `run` answers."""
    return socket.create_server((host, port), backlog=128)


async def run(
    listening: socket.socket, chain: Chain, directory: Path, most: int, sums: Sums
) -> None:
    """Serve until cancelled; `most` bytes are kept, `sums` are what zips are held to."""
    shelf = Shelf(directory, most)
    async with Upstream.opened(chain) as upstream:
        pull = Pull(shelf, upstream, sums)

        async def answer(target: str) -> tuple[int, Path | bytes]:
            if (wanted := parse(target)) is None:
                return 404, f"not a path of the module proxy protocol: {target}\n".encode()
            try:
                return 200, await pull.get(wanted)
            except NotThere as exc:
                return exc.status, str(exc).encode()
            except (Failed, Refused) as exc:
                return 502, f"pipelines proxy: {exc}\n".encode()
            except Exception:  # noqa: BLE001 - one request, not the proxy
                traceback.print_exc()
                return 500, b"pipelines proxy: this is a bug, its log says more\n"

        await serve(listening, answer)
