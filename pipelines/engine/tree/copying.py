"""COPY as Docker means it: from source paths to pieces, from pieces to a tree.

Theory of operation
    A source path names a file, or a directory that stands for its contents; a pattern names
    any number of either. What it names are *pieces*. Where a piece goes depends on the
    destination as it is found there: a directory's contents are merged into it, a file becomes
    the destination, or goes into it if that is a directory. So picking needs only the source
    and putting only the pieces and the destination.

    Pieces travel as one tree, whose top names count them: `0/f/NAME` is a file, `1/d/…` are a
    directory's contents, `2/x/…` those of an archive, which keep their modes.

Source: BuildKit `solver/llbsolver/file` and fsutil `copy`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from pipelines.engine.errors import PathError
from pipelines.engine.filemode import Change
from pipelines.engine.patterns import Matcher, Rules, glob
from pipelines.engine.tree import DIRECTORY, Entry, Tree, parents
from pipelines.engine.tree.ops import Owner, keep
from pipelines.engine.tree.paths import resolve

__all__ = ["Source", "TreeSource", "names", "pick", "put", "replaced"]

_WILD = re.compile(r"(?<!\\)(?:\\\\)*[*?\[]")


class Source(Protocol):
    """Where pieces are taken from."""

    def get(self, path: str, /) -> Entry | None:
        """Give the entry at a normalised path."""
        ...

    def below(self, path: str) -> Tree:
        """Give what a directory holds."""
        ...

    def file(self, path: str) -> Entry:
        """Give a file or link whose bytes are wanted."""
        ...


class TreeSource:
    """A tree as a source."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.get = tree.get
        self.file = tree.__getitem__

    def below(self, path: str) -> Tree:
        """Give what a directory holds."""
        if not path:
            return self._tree
        prefix, cut = path + "/", len(path) + 1
        return Tree({p[cut:]: e for p, e in self._tree.items() if p.startswith(prefix)})


# --- picking -----------------------------------------------------------------------------


def pick(
    source: Source, path: str, exclude: Sequence[str] = (), *, with_parents: bool = False
) -> Tree:
    """Take what a path or pattern names, as pieces; a pattern may name nothing.

    Args:
        source: Where it is taken from.
        path: Relative to the source's root, whether it begins with "/" or not.
        exclude: What to leave out, relative to the directory that is copied.
        with_parents: Keep the directories above; `a/./b/c` keeps those from `b` on.

    Raises:
        PathError: there is no such path.
    """
    if with_parents:
        return _pieces([("", _with_parents(source, path, exclude))])
    rules = Rules(exclude) if exclude else None
    taken: list[tuple[str, Tree]] = []
    for shown in _matches(source, path):
        at = resolve(source, shown)
        entry = source.get(at) if at else DIRECTORY
        if entry is None:
            raise PathError(f"{path}: not found")
        name = shown.rpartition("/")[2]
        if entry.kind == "dir":
            contents = source.below(at)
            taken.append(("", contents if rules is None else keep(contents, Matcher((), exclude))))
        elif rules is None or not rules.decide(name)[0]:
            taken.append((name, Tree({name: source.file(at)})))
    return _pieces(taken)


def _pieces(taken: Iterable[tuple[str, Tree]]) -> Tree:
    made: dict[str, Entry] = {}
    for number, (name, tree) in enumerate(taken):
        top = f"{number}/f" if name else f"{number}/d"
        made[str(number)] = made[top] = DIRECTORY
        made.update((f"{top}/{inner}", entry) for inner, entry in tree.items())
    return Tree(made)


def _matches(source: Source, path: str) -> Iterator[str]:
    """Name the paths that are meant: the path itself, or what matches the pattern."""
    fixed, pattern = _split(path)
    if not pattern:
        yield fixed
        return
    at = resolve(source, fixed)
    top = source.get(at) if at else DIRECTORY
    if top is None or top.kind != "dir":
        return
    matches = glob(re.sub(r"\*\*+", "*", pattern))
    closed: set[str] = set()
    for inner in sorted(source.below(at), key=lambda p: p.split("/")):
        if closed.isdisjoint(parents(inner)) and matches(inner):
            closed.add(inner)
            yield f"{at}/{inner}" if at else inner


def _split(path: str) -> tuple[str, str]:
    """Split into directories without wildcards, and the rest; escapes go from the former."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    wild = next((n for n, part in enumerate(parts) if _WILD.search(part)), len(parts))
    fixed = re.sub(r"\\(.)", r"\1", "/".join(parts[:wild]))
    return fixed, "/".join(parts[wild:])


def _with_parents(source: Source, path: str, exclude: Sequence[str]) -> Tree:
    pivot, dot, inner = path.partition("/./")
    if not dot:
        pivot, inner = "", path
    inner = inner.strip("/")
    root = resolve(source, pivot)
    fixed, pattern = _split(inner)
    at = resolve(source, f"{root}/{fixed}", follow=False)
    entry = source.get(at) if at else DIRECTORY
    if entry is None:
        if pattern:
            return Tree()
        raise PathError(f"{path}: not found")
    made: dict[str, Entry] = {}
    for parent in (*parents(fixed), *([fixed] if fixed and entry.kind == "dir" else [])):
        made[parent] = source.get(resolve(source, f"{root}/{parent}")) or DIRECTORY
    if entry.kind == "dir":
        prefix = f"{fixed}/" if fixed else ""
        made.update((prefix + p, e) for p, e in source.below(at).items())
    else:
        made[fixed] = source.file(at)
    return keep(Tree(made), Matcher((inner or "**",), exclude))


# --- putting -----------------------------------------------------------------------------


def names(pieces: Sequence[Tree]) -> Iterator[str]:
    """Name what pieces may become below the destination."""
    for tree in pieces:
        for path in tree:
            inner = path.split("/", 2)[2:]
            yield from inner


def put(
    base: Tree,
    pieces: Sequence[Tree],
    at: str,
    *,
    into: bool,
    owner: Owner | None = None,
    mode: tuple[Change, int | None] | None = None,
) -> Tree:
    """Put pieces to a path without links; `into` says that it is a directory.

    Directories that have to be made belong to `owner`, with the mode if that is a number.
    Those that are there get the source's mode and owner, but for the destination itself.

    Raises:
        PathError: a file would replace a directory or the other way round, or several files
            would become one.
    """
    taken = [piece for tree in pieces for piece in _taken(tree)]
    if not taken:
        return base
    made = dict(base)
    change, number = mode or (None, None)
    uid, gid = owner or (0, 0)
    top = Entry("dir", 0o755 if number is None else number, uid=uid, gid=gid)
    changed = _changing(owner, change)
    if into:
        _directory(made, at, top)
    if sum(kind == "f" for kind, _ in taken) > 1 and not _is_directory(made, at):
        raise PathError(f"several files to /{at}: end it with a / if it is a directory")
    for kind, tree in taken:
        if kind == "f":
            name, entry = tree.file
            _put_file(made, at, name, changed(entry), top)
        else:
            moded = changed if kind == "d" else _changing(owner, None)
            _put_directory(made, at, tree, moded, top)
    return Tree(made)


def replaced(tree: Tree, instead: Callable[[str, Entry], Tree | None]) -> Tree:
    """Put what a function gives for a file in the file's place, if it gives something."""
    made: dict[str, Entry] = {}
    for number, (kind, piece) in enumerate(_taken(tree)):
        other = instead(*piece.file) if kind == "f" else None
        top = f"{number}/x" if other is not None else f"{number}/{kind}"
        made[str(number)] = made[top] = DIRECTORY
        held = piece if other is None else other
        made.update((f"{top}/{inner}", entry) for inner, entry in held.items())
    return Tree(made)


def _taken(tree: Tree) -> list[tuple[str, Tree]]:
    """Read pieces back, each with its kind."""
    kinds: dict[int, str] = {}
    inner: dict[int, dict[str, Entry]] = {}
    for path, entry in tree.items():
        number, *rest = path.split("/", 2)
        found = inner.setdefault(int(number), {})
        if rest:
            kinds[int(number)] = rest[0]
        if len(rest) == 2:  # noqa: PLR2004
            found[rest[1]] = entry
    return [(kinds[number], Tree(inner[number])) for number in sorted(inner)]


def _changing(owner: Owner | None, change: Change | None) -> Callable[[Entry], Entry]:
    def changed(entry: Entry) -> Entry:
        uid, gid = owner or (entry.uid, entry.gid)
        mode = entry.mode
        if change is not None and entry.kind != "link":
            mode = change(mode, entry.kind == "dir")
        return Entry(
            entry.kind, mode, entry.size, entry.content, entry.target, uid, gid, entry.mtime
        )

    return changed


def _is_directory(made: dict[str, Entry], at: str) -> bool:
    return not at or (at in made and made[at].kind == "dir")


def _directory(made: dict[str, Entry], at: str, top: Entry) -> None:
    for parent in (*parents(at), *([at] if at else [])):
        if made.setdefault(parent, top).kind != "dir":
            raise PathError(f"copy to /{at}: /{parent} is not a directory")


def _put_file(made: dict[str, Entry], at: str, name: str, entry: Entry, top: Entry) -> None:
    to = (f"{at}/{name}" if at else name) if _is_directory(made, at) else at
    _directory(made, to.rpartition("/")[0], top)
    if to in made and made[to].kind == "dir":
        raise PathError(f"copy to /{to}: it is a directory, and the source is a file")
    made[to] = entry


def _put_directory(
    made: dict[str, Entry], at: str, tree: Tree, changed: Callable[[Entry], Entry], top: Entry
) -> None:
    _directory(made, at, top)
    prefix = at + "/" if at else ""
    for inner, entry in tree.items():
        full = prefix + inner
        there = made.get(full)
        if there is not None and (there.kind == "dir") is not (entry.kind == "dir"):
            kind = "a directory" if there.kind == "dir" else "no directory"
            raise PathError(f"copy to /{at}: /{full} is {kind} and the source is otherwise")
        made[full] = changed(entry)
