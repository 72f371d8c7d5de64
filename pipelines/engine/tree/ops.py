"""Operations on trees: pure functions from trees to trees. No bytes are read or written.

Paths are those of `paths`. Whether a link at the end of a path is followed is up to each
operation, as in Dagger.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from pipelines.engine.errors import PathError
from pipelines.engine.patterns import Matcher, glob, is_pattern
from pipelines.engine.tree import DIRECTORY, Entry, Tree, parents
from pipelines.engine.tree.paths import Shown, clean, resolve

__all__ = [
    "Ignores",
    "Owner",
    "chown",
    "copy_file",
    "copy_tree",
    "diff",
    "entries",
    "file_name",
    "keep",
    "link",
    "make_directory",
    "match",
    "remove",
    "rename",
    "select",
    "touch",
    "wrapped",
    "write",
]

Owner = tuple[int, int]
Ignores = Callable[[str, bool], bool]


def _existing(tree: Tree, path: str, shown: str = "") -> tuple[str, Entry]:
    at = resolve(tree, path)
    if at and at not in tree:
        raise PathError(f"stat {shown or path}: no such file or directory")
    return at, tree[at] if at else DIRECTORY


# --- looking -----------------------------------------------------------------------------


def select(tree: Tree, path: str, kind: str = "dir", *, shown: str = "") -> Tree:
    """Take out a directory, or with kind "file" one file; `shown` is the path for messages.

    With kind "any", whatever it is: a tree with one name at its top.

    Raises:
        PathError: it is missing or of the other kind.
    """
    at, entry = _existing(tree, path, shown)
    if kind == "any":
        kind = "dir" if entry.kind == "dir" else "file"
        taken = select(tree, path, kind, shown=shown)
        return wrapped(taken) if kind == "dir" else taken
    if kind == "file":
        if entry.kind != "file":
            raise PathError(f"path {shown or path} is a directory, not a file")
        return Tree({file_name(path, at): entry})
    if entry.kind != "dir":
        raise PathError(f"path {shown or path} is a file, not a directory")
    if not at:
        return tree
    prefix, cut = at + "/", len(at) + 1
    return Tree({p[cut:]: e for p, e in tree.items() if p.startswith(prefix)})


def wrapped(tree: Tree) -> Tree:
    """Put all of a tree into one directory: what stands for any kind has one name at its top."""
    return Tree({"d": DIRECTORY, **{f"d/{path}": entry for path, entry in tree.items()}})


def file_name(path: str, at: str) -> str:
    """Name the file that was asked for as `path` and is at `at`, links followed."""
    last = clean(path)[-1:]
    return at.rpartition("/")[2] if last in ([], [".."]) else last[0]


def entries(tree: Tree, path: str = "") -> list[str]:
    """List a directory, sorted; directories end with "/"."""
    below = select(tree, path)
    return sorted(p + "/" if e.kind == "dir" else p for p, e in below.items() if "/" not in p)


def match(tree: Tree, pattern: str) -> list[str]:
    """List the paths that a glob matches, in walking order; directories end with "/"."""
    matches = glob(pattern)
    found = sorted(p.split("/") for p in tree if matches(p))
    paths = ("/".join(parts) for parts in found)
    return [p + "/" if tree[p].kind == "dir" else p for p in paths]


def keep(tree: Tree, matcher: Matcher, ignores: Ignores | None = None) -> Tree:
    """Keep what matches and is not ignored, with the directories above it."""
    if matcher.everything and ignores is None:
        return tree
    made: dict[str, Entry] = {}
    closed: set[str] = set()
    for path in sorted(tree):
        entry = tree[path]
        is_dir = entry.kind == "dir"
        above = path.rpartition("/")[0]
        if above in closed or (ignores is not None and ignores(path, is_dir)):
            verdict = "skip"
        else:
            verdict = matcher.verdict(path, is_dir)
        if verdict == "keep":
            if above and above not in made:
                made.update((p, tree[p]) for p in parents(path) if p not in made)
            made[path] = entry
        elif verdict == "skip" and is_dir:
            closed.add(path)
    return Tree(made)


def diff(lower: Tree, upper: Tree) -> Tree:
    """Keep what is new or changed in `upper`, with the directories above it."""
    made: dict[str, Entry] = {}
    for path, entry in upper.items():
        if lower.get(path) != entry:
            made.update((p, upper[p]) for p in parents(path) if p not in made)
            made[path] = entry
    return Tree(made)


# --- changing ----------------------------------------------------------------------------


def write(tree: Tree, path: str, entry: Entry) -> Tree:
    """Put a file at a path; a link there is followed, a file replaced.

    Raises:
        PathError: there is a directory, or the path goes through a file.
    """
    at = resolve(tree, path)
    _not_root(at, path)
    made = dict(tree)
    _put(made, at, entry)
    return Tree(made)


def link(tree: Tree, path: str, target: str, owner: Owner = (0, 0)) -> Tree:
    """Make a symbolic link where nothing is."""
    at = resolve(tree, path, follow=False)
    _not_root(at, path)
    if at in tree:
        raise PathError(f"link {path} -> {target}: {path} is already there; remove it first")
    made = dict(tree)
    _put(made, at, Entry("link", 0o777, target=target, uid=owner[0], gid=owner[1]))
    return Tree(made)


def make_directory(tree: Tree, path: str, mode: int = 0o755, owner: Owner = (0, 0)) -> Tree:
    """Make a directory and its parents alike; those that are there stay as they are."""
    at = resolve(tree, path)
    made = dict(tree)
    _directory(made, at, Entry("dir", mode, uid=owner[0], gid=owner[1]), path)
    return Tree(made)


def copy_tree(
    base: Tree, source: Tree, path: str, owner: Owner | None = None, mode: int | None = None
) -> Tree:
    """Merge a tree into a directory of the base, which is made if it is missing.

    Directories that are on both sides get the source's mode and owner; the directory at `path`
    keeps its own, unless an owner is given. Where one side has a directory and the other has
    not, the source's entry takes the place of the base's.
    """
    at = resolve(base, path)
    made = dict(base)
    if at in made and made[at].kind != "dir":
        del made[at]
    _directory(made, at, Entry("dir", 0o755 if mode is None else mode), path)
    if at and owner is not None:
        made[at] = _changed(made[at], owner, None)
    prefix = at + "/" if at else ""
    gone: set[str] = set()
    for inner, entry in source.items():
        there = made.get(prefix + inner)
        if there is not None and there.kind == "dir" and entry.kind != "dir":
            gone.add(prefix + inner)
        made[prefix + inner] = _changed(entry, owner, mode)
    if gone:
        return Tree({p: e for p, e in made.items() if gone.isdisjoint(parents(p))})
    return Tree(made)


def parted(view: Shown, source: Tree, at: str) -> list[tuple[str, Tree]]:
    """Part what is copied to a resolved path where links of the base lead elsewhere.

    A directory of the source that meets a link to a directory goes through the link, as a
    whole `/lib` does on a base whose `/lib` is a link to `usr/lib`.
    """
    moved: dict[str, str] = {}
    for path in sorted(p for p, e in source.items() if e.kind == "dir"):
        full = f"{at}/{path}" if at else path
        there = view.get(full)
        if there is None or there.kind != "link" or not moved.keys().isdisjoint(parents(path)):
            continue
        target = resolve(view, full)
        entry = view.get(target) if target else DIRECTORY
        if entry is not None and entry.kind == "dir":
            moved[path] = target
    if not moved:
        return [(at, source)]
    stay = {
        p: e for p, e in source.items() if p not in moved and moved.keys().isdisjoint(parents(p))
    }
    parts = [(at, Tree(stay))]
    for path, target in moved.items():
        parts += parted(view, select(source, path), target)
    return parts


def copy_file(
    base: Tree, source: Tree, path: str, owner: Owner | None = None, mode: int | None = None
) -> Tree:
    """Copy a file tree's file to a path, or into a directory if the path ends with "/".

    A file or link that is there is replaced.

    Raises:
        PathError: there is a directory.
    """
    name, entry = source.file
    if path.endswith("/") or not clean(path):
        path = f"{path}/{name}"
    at = resolve(base, path, follow=False)
    _not_root(at, path)
    made = dict(base)
    _put(made, at, _changed(entry, owner, mode))
    return Tree(made)


def remove(tree: Tree, paths: Iterable[str]) -> Tree:
    """Remove paths and what is below; patterns are allowed, what is missing is passed over."""
    gone: set[str] = set()
    for path in paths:
        gone.update(_removals(tree, path))
    if not gone:
        return tree
    if "" in gone:
        return Tree()
    return Tree({p: e for p, e in tree.items() if p not in gone and gone.isdisjoint(parents(p))})


def _removals(tree: Tree, path: str) -> Iterator[str]:
    if is_pattern(path):
        clean(path)
        matches = glob(path)
        yield from (p for p in tree if matches(p))
        return
    at = resolve(tree, path, follow=False)
    if not at or at in tree:
        yield at


def chown(tree: Tree, path: str, owner: Owner) -> Tree:
    """Give a path and all below it to an owner; the root stands for everything."""
    at, _ = _existing(tree, path)
    prefix = at + "/"
    return Tree(
        {
            p: _changed(e, owner, None) if not at or p == at or p.startswith(prefix) else e
            for p, e in tree.items()
        }
    )


def touch(tree: Tree, timestamp: int) -> Tree:
    """Pin every modification time, in seconds since the epoch."""
    return Tree({p: replace(e, mtime=timestamp) for p, e in tree.items()})


def rename(tree: Tree, name: str) -> Tree:
    """Rename a file tree's file.

    Raises:
        PathError: the name is not one.
    """
    if name in ("", ".", "..") or "/" in name:
        raise PathError(f"rename file to {name!r}: not a file name")
    return Tree({name: tree.file[1]})


# --- pieces ------------------------------------------------------------------------------

_WORDS = {"dir": "directory", "file": "file", "link": "symbolic link"}


def _word(entry: Entry) -> str:
    return _WORDS[entry.kind]


def _not_root(at: str, path: str) -> None:
    if not at:
        raise PathError(f"path {path!r} is the directory itself, not a name in it")


def _put(made: dict[str, Entry], at: str, entry: Entry) -> None:
    """Put what is not a directory at a resolved path, making the directories above it."""
    there = made.get(at)
    if there is not None and there.kind == "dir":
        raise PathError(f"write {at}: it is a directory")
    for parent in parents(at):
        made.setdefault(parent, DIRECTORY)
    made[at] = entry


def _directory(made: dict[str, Entry], at: str, entry: Entry, path: str) -> None:
    for parent in parents(at):
        made.setdefault(parent, entry)
    if at and made.setdefault(at, entry).kind != "dir":
        raise PathError(f"make directory {path}: {at} is a {_word(made[at])}")


def _changed(entry: Entry, owner: Owner | None, mode: int | None) -> Entry:
    if owner is None and mode is None:
        return entry
    uid, gid = owner or (entry.uid, entry.gid)
    bits = entry.mode if mode is None or entry.kind == "link" else mode
    return Entry(entry.kind, bits, entry.size, entry.content, entry.target, uid, gid, entry.mtime)
