"""Trees whose entries are read when somebody looks.

A record hit needs a tree's digest, not its entries: a chain of hits on a tree of ten thousand
paths never decodes it.
"""

from collections.abc import Iterator, Mapping

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.tree import Entry, Tree

__all__ = ["stored_tree"]


class _Stored(Mapping[str, Entry]):
    """The entries of a tree's blob, decoded at first use."""

    __slots__ = ("_blobs", "_digest", "_entries")

    def __init__(self, blobs: Blobs, digest: Digest) -> None:
        self._blobs = blobs
        self._digest = digest
        self._entries: Mapping[str, Entry] | None = None

    def _load(self) -> Mapping[str, Entry]:
        if self._entries is None:
            # Two threads may both decode; they get equal entries.
            self._entries = dict(Tree.decode(self._blobs.get(self._digest)))
        return self._entries

    def __getitem__(self, path: str) -> Entry:
        return self._load()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def __contains__(self, path: object) -> bool:
        return path in self._load()


def stored_tree(blobs: Blobs, digest: Digest) -> Tree:
    """Give the tree whose blob this is, without reading it.

    Raises:
        ContentMissing: the blob is gone.
    """
    if not blobs.has(digest):
        raise ContentMissing(f"tree {digest} is not in the store")
    return Tree.known(digest, _Stored(blobs, digest))
