"""The runners of COPY and ADD: `Pick`, `Extract`, `Put` and `Lay`, on trees and snapshots."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from pipelines.engine import filemode
from pipelines.engine import op as ops
from pipelines.engine.errors import PathError
from pipelines.engine.result import Snapshot
from pipelines.engine.run.contents import Readable
from pipelines.engine.run.extraction import extract as unpack
from pipelines.engine.run.extraction import is_archive
from pipelines.engine.run.shown import Stack
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree import copying as treecopy
from pipelines.engine.tree import ops as treeops

__all__ = ["Ground", "extract", "lay", "pick", "put"]

Value = Tree | Snapshot


class Ground(Protocol):
    """What the runner of tree operations lends."""

    @property
    def files(self) -> Readable:
        """Where the bytes of files are."""
        ...

    def remembered(self, key: str, fill: Callable[[Path], None]) -> str:
        """Give the layer of a key, made now if it is not there."""
        ...

    def stack(self, snapshot: Snapshot) -> Stack:
        """Show a snapshot's entries, without reading files."""
        ...

    def scan(self, snapshot: Snapshot, path: str, kind: str) -> Tree:
        """Read a directory or file of a snapshot."""
        ...

    def owner(self, text: str, base: Value) -> treeops.Owner | None:
        """Look an owner up."""
        ...

    def change(
        self,
        base: Value,
        path: str,
        change: Callable[[Tree, str], Tree],
        *,
        below: Iterable[str] | None = None,
    ) -> Value:
        """Apply a change at a path."""
        ...


def pick(ground: Ground, op: ops.Pick, base: Value) -> Tree:
    """Take what a source path names."""
    source = treecopy.TreeSource(base) if isinstance(base, Tree) else _Scanned(ground, base)
    try:
        return treecopy.pick(source, op.path, op.exclude, with_parents=op.parents)
    except PathError as exc:
        raise PathError(f"{op.where}: {exc}" if op.where else str(exc)) from exc


def put(ground: Ground, op: ops.Put, base: Value, pieces: Sequence[Tree]) -> Value:
    """Put pieces to a path."""
    owner = ground.owner(op.owner, base)
    mode = filemode.parse(op.mode) if op.mode else None
    into = op.path.endswith("/")

    def change(tree: Tree, at: str) -> Tree:
        return treecopy.put(tree, pieces, at, into=into, owner=owner, mode=mode)

    try:
        return ground.change(base, op.path, change, below=treecopy.names(pieces))
    except PathError as exc:
        raise PathError(f"{op.where}: {exc}" if op.where else str(exc)) from exc


def extract(ground: Ground, pieces: Tree) -> Tree:
    """Put what an archive holds in the archive's place; one content is unpacked once."""

    def held(_name: str, entry: Entry) -> Tree | None:
        if entry.kind != "file":
            return None
        with ground.files.open(entry) as file:
            if not is_archive(file):
                return None
            layer = ground.remembered(f"extracted {entry.content}", lambda into: unpack(file, into))
        return ground.scan(Snapshot((layer,)), "", "dir")

    return treecopy.replaced(pieces, held)


def lay(base: Value, upper: Value) -> Snapshot:
    """Lay a snapshot's layers over another's."""
    assert isinstance(base, Snapshot)
    assert isinstance(upper, Snapshot)
    return Snapshot((*base.layers, *upper.layers))


class _Scanned:
    """A snapshot as a source of pieces: read as far as it is asked for."""

    def __init__(self, ground: Ground, snapshot: Snapshot) -> None:
        self._ground = ground
        self._snapshot = snapshot
        self.get = ground.stack(snapshot).get

    def below(self, path: str) -> Tree:
        """Give what a directory holds."""
        return self._ground.scan(self._snapshot, path, "dir")

    def file(self, path: str) -> Entry:
        """Give a file whose bytes are wanted."""
        return self._ground.scan(self._snapshot, path, "file").file[1]
