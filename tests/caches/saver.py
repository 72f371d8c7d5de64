"""Savers at once, each a process: `python -m tests.caches.saver URL HOW-MANY DIRECTORY`.

Each saves a tree with a file of its own and one that all have, and publishes it. They are forked
by a process that has imported everything, so that they do start at once.
"""

import os
import sys
import traceback
from pathlib import Path

import anyio

from pipelines.caches.heads import Heads
from pipelines.caches.merging import unite
from pipelines.caches.open import open_transport
from pipelines.caches.saving import save

KEY = "volume/abc/go-mod"


async def save_own(url: str, number: str, directory: Path) -> None:
    tree = directory / f"tree-{number}"
    tree.mkdir()
    (tree / f"own-{number}").write_bytes(number.encode() * 1000)
    (tree / "shared").write_bytes(b"shared" * 1000)
    transport = open_transport(url, os.environ)
    heads = Heads(transport, ("trusted",), "trusted")
    mine, _ = await save(transport, None, {"": tree}, kind="download")

    async def merge(theirs):
        nonlocal mine
        mine = await unite(transport, mine, theirs)
        return mine

    await heads.publish(KEY, mine, merge)
    await transport.aclose()


def main(url: str, many: int, directory: Path) -> int:
    children = []
    for number in range(many):
        if (child := os.fork()) == 0:
            code = 1
            try:
                anyio.run(save_own, url, str(number), directory)
                code = 0
            except BaseException:  # noqa: BLE001 - told, and the child ends here
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
