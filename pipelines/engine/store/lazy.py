"""Trees whose entries are read when somebody looks.

A record hit needs a tree's digest, not its entries: a chain of hits on a tree of ten thousand
paths never decodes it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.tree import Entry, Tree

__all__ = ["lazy_tree", "stored_tree"]

Load = Callable[[], Mapping[str, Entry]]


class _Entries(Mapping[str, Entry]):
    """The entries of a tree, loaded at first use."""

    __slots__ = ("_found", "_load")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._found: Mapping[str, Entry] | None = None

    def _loaded(self) -> Mapping[str, Entry]:
        if self._found is None:
            self._found = self._load()  # two threads may both load; they get equal entries
        return self._found

    def __getitem__(self, path: str) -> Entry:
        return self._loaded()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())

    def __contains__(self, path: object) -> bool:
        return path in self._loaded()


def lazy_tree(digest: Digest, load: Load) -> Tree:
    """Give the tree of a digest; `load` gives its entries when somebody looks."""
    return Tree.known(digest, _Entries(load))


def stored_tree(blobs: Blobs, digest: Digest) -> Tree:
    """Give the tree whose blob this is, without reading it.

    Raises:
        ContentMissing: the blob is gone.
    """
    if not blobs.has(digest):
        raise ContentMissing(f"tree {digest} is not in the store")
    return lazy_tree(digest, partial(_decoded, blobs, digest))


def _decoded(blobs: Blobs, digest: Digest) -> Mapping[str, Entry]:
    return dict(Tree.decode(blobs.get(digest)))
