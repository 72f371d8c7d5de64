"""Check that everything in the store is what its name says.

A clean store has no problem whatever was killed when: a crash may leave work in flight and
content that nobody names, which are no problems, but never a name with the wrong content.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.files import Files, parse_name
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.records import Records
from pipelines.engine.tree import Tree

__all__ = ["Problem", "verify"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not what its name says."""

    kind: Literal["blob", "file", "layer", "record", "database"]
    name: str
    seen: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.seen}"


def verify(
    layout: Layout,
    layers: Iterable[str] = (),
    digest: Callable[[str], str] | None = None,
    remove: Callable[[str], None] | None = None,
    *,
    deep: bool = True,
    repair: bool = False,
    owners: bool = True,
) -> list[Problem]:
    """Check the store; with `repair`, remove what is wrong.

    Args:
        layout: the store.
        layers: the ids of its layers.
        digest: computes what a layer's id should be; without it layers count as right.
        remove: takes a layer away.
        deep: read all content instead of looking at names and metadata only.
        repair: remove what is wrong, and records of what is missing.
        owners: whether this process can see the files' real owners.
    """
    check = _Check(layout, deep=deep, repair=repair, owners=owners)
    right = set(check.layers(layers, digest, remove))
    check.blobs()
    check.files()
    check.records(right)
    return check.problems


class _Check:
    def __init__(self, layout: Layout, *, deep: bool, repair: bool, owners: bool) -> None:
        self._layout = layout
        self._deep = deep
        self._repair = repair
        self._blobs = Blobs(layout)
        self._files = Files(layout, owners=owners)
        self.problems: list[Problem] = []

    def layers(
        self,
        layers: Iterable[str],
        digest: Callable[[str], str] | None,
        remove: Callable[[str], None] | None,
    ) -> Iterator[str]:
        """Check layers; yield those that may be used."""
        for layer in list(layers):
            seen = digest(layer) if digest and self._deep else layer
            if seen == layer:
                yield layer
                continue
            self.problems.append(Problem("layer", layer, f"its content is {seen}"))
            if remove and self._repair:
                remove(layer)

    def blobs(self) -> None:
        """Check blobs."""
        for digest, _ in self._blobs.entries():
            if _is_digest(digest) and (not self._deep or self._blobs.check(digest)):
                continue
            self.problems.append(Problem("blob", digest.hex, "its content is another"))
            if self._repair:
                self._blobs.remove(digest)

    def files(self) -> None:
        """Check files."""
        for name, _ in self._files.entries():
            if self._files.check(name) if self._deep else _is_name(name):
                continue
            seen = "its content, mode, owner or time is another"
            self.problems.append(Problem("file", name, seen))
            if self._repair:
                self._files.remove(name)

    def records(self, layers: set[str]) -> None:
        """Check that what records name is there."""
        records = Records(self._layout, layers.__contains__)
        try:
            if (verdict := records.integrity()) != "ok":
                self.problems.append(Problem("database", self._layout.records.name, verdict))
            for row in list(records.rows()):
                missing = [f"layer {layer}" for layer in row.layers if layer not in layers]
                missing += [f"blob {b}" for b in row.blobs if not self._blobs.has(b)]
                if row.tree is not None and not self._readable(row.tree):
                    missing.append(f"tree {row.tree}")
                if not missing:
                    continue
                self.problems.append(Problem("record", row.key, "names a missing " + missing[0]))
                if self._repair:
                    records.forget(row.key)
        finally:
            records.close()

    def _readable(self, tree: Digest) -> bool:
        if not self._deep:
            return self._blobs.has(tree)
        try:
            Tree.decode(self._blobs.get(tree))
        except (ContentMissing, ValueError, TypeError, LookupError):
            return False
        return True


def _is_digest(digest: Digest) -> bool:
    try:
        Digest.parse(digest)
    except ValueError:
        return False
    return True


def _is_name(name: str) -> bool:
    try:
        parse_name(name)
    except ValueError:
        return False
    return True
