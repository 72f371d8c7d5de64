"""What must not leave: content in which a secret stands, or may stand.

Commands that are given secrets may write them anywhere. What this session's commands made is
searched for every spelling of every secret that the session has met. What an earlier session made
with secrets can not be searched, because their values are gone: it stays.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.op import WITH_SECRETS
from pipelines.engine.scrub import Hidden
from pipelines.engine.snapshots.rows import read_rows
from pipelines.engine.travel.stores import Stores

__all__ = ["Secrecy"]


class Secrecy:
    """Judges directories and files; remembers the verdicts."""

    def __init__(self, hidden: Hidden, unknown: frozenset[str]) -> None:
        self._find: Callable[[BinaryIO], bool] | None = hidden.finder()
        self._unknown = unknown
        self._known: dict[str, bool] = {}

    @classmethod
    def of(cls, stores: Stores, made: Collection[Digest], images: frozenset[str]) -> "Secrecy":
        """Begin with the store's records; `made` are those of this session."""
        unknown: set[str] = set()
        for row in stores.records.rows():
            if row.note.endswith(WITH_SECRETS) and row.key not in made:
                unknown.update(row.layers)
                unknown.update(blob.hex for blob in row.blobs)
        for layer in unknown - images:
            with suppress(ContentMissing):
                unknown.update(r.text for r in read_rows(stores.layout.snapshots, layer))
        return cls(stores.hidden, frozenset(unknown - images))

    def holds(self, name: str, path: Path) -> bool:
        """Tell whether a layer or blob, by its hex name, may have a secret in it."""
        if name in self._unknown:
            return True
        if self._find is None:
            return False
        if name not in self._known:
            self._known[name] = any(map(self._file, _files(path)))
        return self._known[name]

    def _file(self, path: Path) -> bool:
        assert self._find is not None
        with path.open("rb", buffering=0) as file:
            return self._find(file)


def _files(top: Path) -> Iterable[Path]:
    if top.is_file():
        yield top
        return
    for path in top.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path
