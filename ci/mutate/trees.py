"""A source as a value: what is mutated, kept, put on disk and given back."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Node", "Tree", "changed", "load", "recall", "remember", "update", "write"]


@dataclass(frozen=True, slots=True)
class Node:
    """A file, or a symbolic link where `link` is its target."""

    data: bytes = b""
    mode: int = 0o644
    link: str = ""

    @property
    def digest(self) -> str:
        """Name what the node is."""
        head = f"{self.mode:o} {self.link}\0".encode()
        return hashlib.sha256(head + self.data).hexdigest()

    @property
    def text(self) -> str:
        """Give a file's text."""
        return self.data.decode(errors="surrogateescape")


Tree = Mapping[str, Node]


def changed(before: Tree, after: Tree) -> frozenset[str]:
    """Name what is not in both trees, or not the same."""
    return frozenset(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))


def load(root: Path) -> dict[str, Node]:
    """Read a directory, without what begins with `.git`."""
    found: dict[str, Node] = {}
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name != ".git")
        for name in [*files, *(n for n in names if os.path.islink(os.path.join(directory, n)))]:
            path = Path(directory, name)
            found[path.relative_to(root).as_posix()] = _node(path)
    return found


def _node(path: Path) -> Node:
    if path.is_symlink():
        return Node(b"", 0o777, os.readlink(path))
    return Node(path.read_bytes(), stat.S_IMODE(path.stat().st_mode))


def write(root: Path, tree: Tree) -> None:
    """Put a tree into a new directory: every time is now."""
    for name, node in tree.items():
        _put(root / name, node)


def update(root: Path, before: Tree, after: Tree, *, same_times: bool = False) -> None:
    """Make the tree of a directory another one, touching only what differs."""
    for name in sorted(changed(before, after)):
        path = root / name
        if name not in after:
            path.unlink()
            _prune(path.parent, root)
            continue
        times = path.lstat() if same_times and name in before else None
        if name in before and before[name].link != after[name].link:
            path.unlink()
        _put(path, after[name])
        if times is not None:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)


def _put(path: Path, node: Node) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if node.link:
        path.unlink(missing_ok=True)
        path.symlink_to(node.link)
        return
    path.write_bytes(node.data)
    path.chmod(node.mode)


def _prune(directory: Path, root: Path) -> None:
    """Remove directories that became empty: a checkout has none."""
    while directory != root and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent


def remember(store: Path, name: str, tree: Tree) -> None:
    """Keep a tree under a name; a later one of the same name replaces it."""
    objects = store / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    rows = {}
    for path, node in tree.items():
        rows[path] = [node.digest, node.mode, node.link]
        if not (objects / node.digest).exists():
            draft = objects / f"{node.digest}.draft"
            draft.write_bytes(node.data)
            draft.replace(objects / node.digest)
    draft = store / f"{name}.draft"
    draft.write_text(json.dumps(rows))
    draft.replace(store / f"{name}.json")


def recall(store: Path, name: str) -> dict[str, Node]:
    """Give a tree that was kept."""
    rows = json.loads((store / f"{name}.json").read_text())
    read: dict[str, bytes] = {}

    def nodes() -> Iterator[tuple[str, Node]]:
        for path, (digest, mode, link) in rows.items():
            if digest not in read:
                read[digest] = (store / "objects" / digest).read_bytes()
            yield path, Node(read[digest], mode, link)

    return dict(nodes())


def clear(root: Path) -> None:
    """Remove a directory that may not be there."""
    shutil.rmtree(root, ignore_errors=True)
