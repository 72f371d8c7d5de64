"""Look for text in the files of a tree.

Files are looked at in the order of their paths. One with a NUL byte in its first 64 KiB is not
text and is passed over, unless its own path was given. Ignore files count wherever they are,
in a repository or not.
"""

from collections.abc import Callable, Iterator

from pipelines.engine import treepath
from pipelines.engine.errors import PathError
from pipelines.engine.sources.gitignore import Gitignore
from pipelines.engine.text.search import Hit, Search, compiled, hits
from pipelines.engine.tree import Entry, Tree, parents

__all__ = ["search"]

_HEAD = 1 << 16
_IGNORES = (".gitignore", ".ignore", ".rgignore")

Read = Callable[[Entry], bytes]


def search(tree: Tree, wanted: Search, read: Read) -> list[Hit]:
    """Give what matches, at most as much as was asked for; blocks.

    Raises:
        QueryError: the pattern is none.
        PathError: a path is not there or leaves the tree.
    """
    expression = compiled(wanted)
    found: list[Hit] = []
    for path, named in _files(tree, wanted, read):
        if wanted.limit is not None and len(found) >= wanted.limit:
            break
        data = read(tree[path])
        if b"\0" in data[:_HEAD] and not named:
            continue
        matching = hits(expression, path, data, multiline=wanted.multiline)
        if not wanted.files_only:
            found += matching
        elif next(matching, None) is not None:
            found.append(Hit(path))
    return found[: wanted.limit]


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
