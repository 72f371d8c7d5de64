"""`pipelines session --pin`: find out what the names of `pipelines.lock` stand for now.

Rows come as JSON lines on standard input and go back on standard output, those of kinds that
are not asked for here as they came. A name that can not be pinned is said on standard error,
keeps its row, and makes the exit code 6.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio

from pipelines.engine.errors import EngineError, SourceError
from pipelines.engine.images.local import Images
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.registries import Registries
from pipelines.engine.names.pins import Row
from pipelines.engine.names.remote import parse
from pipelines.engine.op import GitAccess, HttpSource
from pipelines.engine.snapshots.kernel import MNT_DETACH, mount, umount
from pipelines.engine.store.layout import Layout, default_root
from pipelines.engine.store.leases import Lease

__all__ = ["main"]

INFRASTRUCTURE = 6


def main(mode: str) -> int:
    """Pin every name that is asked; the exit code."""
    layout = Layout.open(default_root(os.environ))
    registries = Registries(os.environ, Images(layout.images), _say)
    ask: Mapping[str, Callable[[str], str]] = {
        "git": lambda name: _commit(layout, name),
        "http": lambda name: _body(layout, name, owners=mode != "single"),
        "image": lambda name: registries.ask(Reference.parse(name)),
    }
    code = 0
    for line in sys.stdin:
        kind, name, value = json.loads(line)
        row: Row = (kind, name, value)
        if kind in ask:
            try:
                row = (kind, name, ask[kind](name))
            except EngineError as exc:
                _say(f"{kind} {name}: {exc}; it stays locked to {value}")
                code = INFRASTRUCTURE
        sys.stdout.write(json.dumps(row) + "\n")
    registries.close()
    return code


def _commit(layout: Layout, name: str) -> str:
    """Ask a git server what a ref stands for, with what the machine lends for it."""
    from pipelines.engine.sources.gitremote import Remotes

    url, _, ref = name.rpartition(" ")
    access = GitAccess(parse(url, "/").remote)
    with _scratch(layout) as room:
        found = anyio.run(Remotes(room, os.environ).refs, access).find(ref)
    return f"{found.commit} {found.name}".strip()


def _body(layout: Layout, name: str, *, owners: bool) -> str:
    """Download what an address holds."""
    from pipelines.engine.images.registry.transport import Http
    from pipelines.engine.run.http import HttpSources
    from pipelines.engine.store.files import Files
    from pipelines.engine.store.mirrors import Downloads

    if "?" in name:
        raise SourceError("its query is not in the file; lock the stage that downloads it")
    http = Http(os.environ)
    try:
        with Lease.take(layout) as lease:
            files = Files(layout, owners=owners)
            sources = HttpSources(http, files, Downloads(layout), lease.path)
            content, _ = anyio.run(sources.body, HttpSource(name))
    finally:
        http.close()
    return f"sha256:{content}"


@contextmanager
def _scratch(layout: Layout) -> Iterator[Path]:
    """Give a directory that is on no disk, for the length of the block."""
    with Lease.take(layout) as lease:
        room = lease.path / "memory"
        room.mkdir()
        mount("tmpfs", str(room), "tmpfs", 0x2 | 0x4 | 0x8, "mode=0700")
        try:
            yield room
        finally:
            umount(str(room), MNT_DETACH)


def _say(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")
