"""Look for text in the files of a tree.

Files are looked at in the order of their paths. One with a NUL byte in its first 64 KiB is not
text and is passed over, unless its own path was given. Ignore files count wherever they are,
in a repository or not.

What a pattern finds in a file is a function of the two, so it is kept by the file's digest: a
search that was made before reads only files that are new.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from pipelines.engine.digest import digest_json
from pipelines.engine.errors import PathError
from pipelines.engine.sources.gitignore import Gitignore
from pipelines.engine.text.search import Hit, Part, Search, compiled, hits
from pipelines.engine.tree import Entry, Tree, parents
from pipelines.engine.tree import paths as treepath

__all__ = ["search"]

_FORMAT = 1
_HEAD = 1 << 16
_FEW = 1000
_WORTH = 1 << 10  # bytes that were read, from which on remembering them is worth a file
_IGNORES = (".gitignore", ".ignore", ".rgignore")

Read = Callable[[Entry], bytes]


class Notes(Protocol):
    """Where what was found is kept."""

    def get(self, name: str) -> Any:
        """Give a document; None if there is none."""
        ...

    def put(self, name: str, document: Any) -> None:
        """Keep a document."""
        ...


def search(tree: Tree, wanted: Search, read: Read, notes: Notes | None = None) -> list[Hit]:
    """Give what matches, at most as much as was asked for; blocks.

    Raises:
        QueryError: the pattern is none.
        PathError: a path is not there or leaves the tree.
    """
    looking = _Looking(wanted, read, notes)
    found: list[Hit] = []
    for path, named in _files(tree, wanted, read):
        if wanted.limit is not None and len(found) >= wanted.limit:
            break
        matching = looking.at(path, tree[path], named)
        if matching and wanted.files_only:
            found.append(Hit(path))
        elif matching:
            found += matching
    looking.keep()
    return found[: wanted.limit]


class _Looking:
    """One search in many files, with what is known of it from before."""

    def __init__(self, wanted: Search, read: Read, notes: Notes | None) -> None:
        self._expression = compiled(wanted)
        self._wanted = wanted
        self._read = read
        self._notes = notes
        how = [wanted.pattern, wanted.literal, wanted.multiline, wanted.dotall, wanted.insensitive]
        self._name = digest_json(["search", _FORMAT, *sys.version_info[:2], *how]).hex
        known = notes.get(self._name) if notes else None
        self._known: dict[str, list[Any]] = known if isinstance(known, dict) else {}
        self._used: dict[str, list[Any]] = {}
        self._read_anew = 0

    def at(self, path: str, entry: Entry, named: bool) -> Sequence[Hit]:
        """Give what matches in a file."""
        key = f"{entry.content}{'!' if named else ''}"
        rows = self._known.get(key)
        if rows is None:
            self._read_anew += entry.size
            rows = [_row(hit) for hit in self._look(path, self._read(entry), named)]
        self._used[key] = rows
        return [_hit(path, row) for row in rows]

    def keep(self) -> None:
        """Keep what was found, if it cost something; when much is old, the old goes."""
        if self._notes and self._read_anew >= _WORTH:
            both = self._known | self._used
            much = len(both) > 4 * len(self._used) + _FEW
            self._notes.put(self._name, self._used if much else both)

    def _look(self, path: str, data: bytes, named: bool) -> Iterator[Hit]:
        if b"\0" in data[:_HEAD] and not named:
            return iter(())
        return hits(self._expression, path, data, multiline=self._wanted.multiline)


def _row(hit: Hit) -> list[Any]:
    return [hit.line, hit.offset, hit.text, [[p.text, p.start, p.end] for p in hit.parts]]


def _hit(path: str, row: list[Any]) -> Hit:
    line, offset, text, parts = row
    return Hit(path, line, offset, text, tuple(Part(*part) for part in parts))


def _files(tree: Tree, wanted: Search, read: Read) -> Iterator[tuple[str, bool]]:
    """Yield the files to look into, and whether their own path was given."""
    tops = [_resolved(tree, path) for path in wanted.paths] or [""]
    named = {top for top in tops if top and tree[top].kind == "file"}
    chosen = _Chosen(tree, wanted, read)
    for path in sorted(tree):
        if tree[path].kind != "file" or not _below(path, tops):
            continue
        if path in named or all(chosen(one) for one in (*parents(path), path)):
            yield path, path in named


def _resolved(tree: Tree, path: str) -> str:
    at = treepath.resolve(tree, path)
    if at and at not in tree:
        raise PathError(f"search in {path}: no such file or directory")
    return at


def _below(path: str, tops: list[str]) -> bool:
    return any(not top or path == top or path.startswith(top + "/") for top in tops)


class _Chosen:
    """Whether a path is looked into, given that the directories above it are; remembers."""

    def __init__(self, tree: Tree, wanted: Search, read: Read) -> None:
        self._tree = tree
        self._wanted = wanted
        self._read = read
        self._known: dict[str, bool] = {}
        # Globs are the rules of an ignore file turned around: what they name is looked into.
        self._globs = Gitignore(lambda at: wanted.globs if not at else None)
        self._only = any(not glob.startswith("!") for glob in wanted.globs)
        self._ignores = Gitignore(self._rules)

    def __call__(self, path: str) -> bool:
        """Tell whether a path is looked into."""
        if path not in self._known:
            self._known[path] = self._decide(path, is_dir=self._tree[path].kind == "dir")
        return self._known[path]

    def _decide(self, path: str, *, is_dir: bool) -> bool:
        verdict = self._globs.verdict(path, is_dir) if self._wanted.globs else None
        if verdict is not None:
            return verdict
        if self._only and not is_dir:
            return False
        if self._wanted.skip_hidden and path.rpartition("/")[2].startswith("."):
            return False
        return not (self._wanted.skip_ignored and self._ignores.ignores(path, is_dir))

    def _rules(self, directory: str) -> list[str] | None:
        """Read the ignore files of a directory; the rules of later ones win."""
        lines: list[str] = []
        for name in _IGNORES:
            entry = self._tree.get(f"{directory}/{name}" if directory else name)
            if entry is not None and entry.kind == "file":
                lines += self._read(entry).decode("utf-8", "surrogateescape").splitlines()
        return lines or None
