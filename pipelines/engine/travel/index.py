"""What is known of records: those of other machines, and which ones this session asked for.

A result that was answered from afar is complete in all but content. Layers, blobs and files that
are not here are known by where they can be had; trees among the results are remembered until
their files are here, because the store takes a tree's record for a promise of its files.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from pipelines.caches.generation import Generation
from pipelines.engine.digest import Digest
from pipelines.engine.op import Exec, Op
from pipelines.engine.result import Result, from_json, references
from pipelines.engine.store.lazy import lazy_tree
from pipelines.engine.travel.fetching import Fetching
from pipelines.engine.travel.results import Found, Record, blob_name, files_name, layer_name
from pipelines.engine.travel.stores import Stores
from pipelines.engine.tree import Entry, Tree

__all__ = ["Index"]


class Index:
    """The records of one session; safe for threads."""

    def __init__(self, stores: Stores, fetching: Fetching) -> None:
        self._stores = stores
        self._fetching = fetching
        self._lock = threading.Lock()
        self.generation: Generation | None = None
        self._found: Found | None = None
        self._answers: dict[Digest, Result] = {}
        self._trees: dict[str, Digest] = {}  # content -> a tree that has it, not fetched
        self._promised: set[Digest] = set()  # trees without their files
        self.used: dict[Digest, None] = {}
        self.made: set[Digest] = set()
        self._believed = False
        self._records: dict[Digest, Record] = {}
        self.hits = 0
        self.spared = 0.0  # seconds of wall time
        self._walked: set[Digest] = set()  # ops whose part of that is in it
        self._answered: float | None = None  # the share of the record that was given last
        self.shares: dict[Digest, float] = {}

    def load(self, generation: Generation | None) -> None:
        """Take the generation that the backend has."""
        self.generation = generation
        if generation is not None:
            self._found = Found(generation.records, generation.trees)

    def records(self) -> Mapping[str, bytes]:
        """Give the records as they came, or none."""
        return self._found.records if self._found is not None else {}

    # --- what the solver's cache asks ---------------------------------------------------------

    def get(self, key: Digest) -> Result | None:
        """Answer a key that the store does not know."""
        with self._lock:
            if (known := self._answers.get(key)) is not None:
                self._answered = 0.0
                return known
            record = self._found.find(key, self._fetching.here) if self._found else None
            if record is None:
                return None
            self._answers[key] = made = self._result(record)
            self._records[key] = record
            self._believed = True
            self.hits += record.note.startswith("Exec")
            self._answered = record.share
            self.used[key] = None
            return made

    def use(self, key: Digest, *, made: bool = False, share: float | None = None) -> None:
        """Hear that the store itself has answered a key, or that its result was made now."""
        self._answered = None
        self.used[key] = None
        if made:
            self.made.add(key)
        if share is not None:
            self.shares[key] = share

    def spare(self, op: Op, definition: Callable[[Op], Digest | None]) -> None:
        """Hear for which op the last answer was, and add up what need not run for it.

        An answer spares all that is below the op, of which nobody will ask: what each command
        there took is in its own record, under its definition key. Commands count once.
        """
        if (answered := self._answered) is None or self._found is None:
            return
        self._answered, waiting = None, [op]
        while waiting:
            at = waiting.pop()
            if at.digest in self._walked:
                continue
            self._walked.add(at.digest)
            waiting += [edge.op for edge in at.inputs]
            if isinstance(at, Exec):
                known = definition(at)
                share = self._found.share(str(known)) if known is not None else 0.0
                self.spared += max(share, answered if at is op else 0.0)

    def alias(self, keys: Sequence[Digest], result: Result) -> bool:
        """Hear of more keys of a result; True if it is one that the store must not record."""
        with self._lock:
            if not (isinstance(result, Tree) and self._owed(result.digest)):
                return False
            self._answers.update(dict.fromkeys(keys, result))
            return True

    def _owed(self, tree: Digest) -> bool:
        return tree in self._promised and files_name(tree.hex) not in self._fetching.settled

    def keep(self) -> None:
        """Record in the store what came whole: the next session need not ask for it."""
        with self._lock:
            answers = [
                (k, self._answers[k], r) for k, r in self._records.items() if k in self._answers
            ]
        for key, result, record in answers:
            layers, blobs, _ = references(record.result)
            whole = not self.away(layers) and all(map(self._stores.blobs.has, blobs))
            if whole and not (isinstance(result, Tree) and self._owed(result.digest)):
                self._stores.records.put([key], result, record.note, record.seconds)

    def forget(self, key: Digest) -> None:
        """Give no answer to a key any more."""
        with self._lock:
            self._answers.pop(key, None)
            if self._found is not None and key in self._found.records:
                kept = {k: v for k, v in self._found.records.items() if k != key}
                self._found = Found(kept, self._found.trees)

    def abandon(self) -> bool:
        """Answer nothing any more; tell whether anything was answered before."""
        with self._lock:
            self._found = None
            self.generation = None  # what is saved next is whole, which heals the backend
            self._answers.clear()
            return self._believed

    # --- where content is ---------------------------------------------------------------------

    def away(self, layers: Sequence[str]) -> list[str]:
        """List the layers that are not here."""
        root = self._stores.layout.snapshots
        return [x for x in dict.fromkeys(layers) if not os.path.exists(root / x)]

    def offers(self, layer: str) -> bool:
        """Whether a layer can be fetched."""
        return self._offers(layer_name(layer))

    def offers_blob(self, digest: Digest) -> bool:
        """Whether a blob can be fetched."""
        return self._offers(blob_name(digest.hex))

    def _offers(self, name: str) -> bool:
        return self.generation is not None and name in self.generation.trees

    def tree_with(self, content: str) -> str | None:
        """Name (hex) the tree whose files have a content."""
        found = self._trees.get(content)
        return found.hex if found is not None else None

    def _result(self, record: Record) -> Result:
        for content in (record.inline or {}).values():
            self._stores.blobs.put(content)
        tree = references(record.result)[2]
        if tree is None:
            return from_json(record.result)
        if self._offers(files_name(tree.hex)):
            self._promised.add(tree)
        return lazy_tree(tree, partial(self.entries, tree))

    def entries(self, tree: Digest) -> Mapping[str, Entry]:
        """Read a tree's entries and remember where its files can be had."""
        if not self._stores.blobs.has(tree):
            self._fetching.blob(tree).result()
        entries = dict(Tree.decode(self._stores.blobs.get(tree)))
        with self._lock:
            if tree in self._promised:
                for entry in entries.values():
                    if entry.kind == "file":
                        self._trees.setdefault(entry.content, tree)
        return entries

    def told(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Sum up the session."""
        if self.generation is not None:
            yield "answered", {"hits": self.hits, "spared": round(self.spared, 3)}
