"""Patches and changes on trees: pure but for the bytes of the files that they change."""

import posixpath
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from pipelines.engine.errors import PathError, QueryError
from pipelines.engine.op import Apply, Merge, Op, Patch, WritePatch
from pipelines.engine.run.contents import Contents
from pipelines.engine.run.merging import merged
from pipelines.engine.text.diffs import LINK, render
from pipelines.engine.text.patches import FilePatch, apply
from pipelines.engine.text.patchread import read
from pipelines.engine.tree import DIRECTORY, Entry, Tree, parents
from pipelines.engine.tree import ops as treeops
from pipelines.engine.tree.changes import between, diffs

__all__ = ["PATCH_NAME", "changed", "patched", "rework", "written"]

PATCH_NAME = "diff.patch"


def rework(op: Op, base: Tree, others: Sequence[Tree], files: Contents) -> Tree:
    """Run one of the operations that compare or change contents."""
    match op:
        case WritePatch():
            return written(base, others[0], files)
        case Apply():
            return changed(base, others[0], others[1])
        case Patch():
            return patched(base, _reader(files)(others[0].file[1]), files)
        case Merge():
            pairs = zip(others[: len(op.lowers)], others[len(op.lowers) :], strict=True)
            sides = [changed(base, lower, upper) for lower, upper in pairs]
            return merged(base, sides, op.conflict, files)
    raise TypeError(f"not an operation on contents: {type(op).__name__}")


def written(before: Tree, after: Tree, files: Contents) -> Tree:
    """Write the changes between two trees as a patch: a file tree."""
    return Tree({PATCH_NAME: files.write(render(diffs(before, after, _reader(files))))})


def changed(base: Tree, before: Tree, after: Tree) -> Tree:
    """Do to a tree what was done between two others; what was removed may be missing.

    Raises:
        PathError: a file would replace a directory, or the other way round.
    """
    changes = between(before, after)
    gone = {path.rstrip("/") for path in changes.removed}
    made = {p: e for p, e in base.items() if p not in gone and gone.isdisjoint(parents(p))}
    return treeops.copy_tree(Tree(made), treeops.diff(before, after), "")


def patched(base: Tree, patch: bytes, files: Contents) -> Tree:
    """Apply a patch to a tree: all of it or nothing.

    Raises:
        QueryError: it can not be read, or does not apply.
        PathError: it names a path outside of the tree, or through a link.
    """
    work = _Work(base, files)
    for one in read(patch):
        work.do(one)
    return work.tree()


def _reader(files: Contents) -> Callable[[Entry], bytes]:
    def contents(entry: Entry) -> bytes:
        with files.open(entry) as file:
            return file.read()

    return contents


class _Work:
    """A patch being applied: what is written and what goes, until all of it is known to fit."""

    def __init__(self, base: Tree, files: Contents) -> None:
        self._base = base
        self._files = files
        self._read = _reader(files)
        self._written: dict[str, Entry] = {}
        self._gone: set[str] = set()

    def do(self, patch: FilePatch) -> None:
        """Apply one file's part."""
        for name in filter(None, (patch.old, patch.new)):
            self._check(name)
        if patch.old is None:
            self._create(patch)
        elif patch.new is None:
            self._delete(patch, patch.old)
        else:
            self._change(patch, patch.old, patch.new)

    def tree(self) -> Tree:
        """Give the outcome; directories that lost their last file go with it."""
        made = {path: entry for path, entry in self._base.items() if path not in self._gone}
        for path, entry in self._written.items():
            made.update((parent, DIRECTORY) for parent in parents(path) if parent not in made)
            made[path] = entry
        children = Counter(path.rpartition("/")[0] for path in made)
        for path in sorted(self._gone - self._written.keys(), reverse=True):
            above = path.rpartition("/")[0]
            while above in made and not children[above]:
                del made[above]
                above = above.rpartition("/")[0]
                children[above] -= 1
        return Tree(made)

    def _create(self, patch: FilePatch) -> None:
        name = patch.new or ""
        if self._there(name) is not None:
            raise QueryError(f"patch: {name} is to be made, but is already there")
        mode = patch.new_mode or 0o100644
        self._written[name] = self._entry(None, apply(patch, b""), mode)
        self._gone.discard(name)

    def _delete(self, patch: FilePatch, name: str) -> None:
        if apply(patch, self._data(name)):
            raise QueryError(f"patch: {name} is to be deleted, but has more in it than the patch")
        self._written.pop(name, None)
        self._gone.add(name)

    def _change(self, patch: FilePatch, old: str, new: str) -> None:
        moves = old != new
        if moves and self._there(new) is not None:
            raise QueryError(f"patch: {old} is to become {new}, but that is already there")
        # What is renamed or copied is taken as it was before the patch, as git does.
        entry = self._base.get(old) if moves else None
        data = self._data(old, entry)
        entry = entry or self._there(old)
        mode = patch.new_mode or (LINK if entry is not None and entry.kind == "link" else None)
        self._written[new] = self._entry(entry, apply(patch, data), mode)
        self._gone.discard(new)
        if moves and not patch.is_copy:
            self._written.pop(old, None)
            self._gone.add(old)

    def _there(self, name: str) -> Entry | None:
        if name in self._written:
            return self._written[name]
        return None if name in self._gone else self._base.get(name)

    def _data(self, name: str, entry: Entry | None = None) -> bytes:
        entry = entry or self._there(name)
        if entry is None:
            raise QueryError(f"patch: {name}: no such file or directory")
        if entry.kind == "dir":
            raise QueryError(f"patch: {name} is a directory, not a file")
        is_link = entry.kind == "link"
        return entry.target.encode("utf-8", "surrogateescape") if is_link else self._read(entry)

    def _entry(self, before: Entry | None, data: bytes, mode: int | None) -> Entry:
        """Make the entry of new contents; who owns the file and who may read it stays."""
        uid, gid = (before.uid, before.gid) if before else (0, 0)
        if mode == LINK:
            target = data.decode("utf-8", "surrogateescape")
            return Entry("link", 0o777, target=target, uid=uid, gid=gid)
        bits = before.mode if before is not None and before.kind == "file" else 0o644
        if mode is not None:
            bits = bits | (bits & 0o444) >> 2 if mode & 0o111 else bits & ~0o111
        made = self._files.write(data, bits, uid, gid)
        return replace(made, mtime=before.mtime) if before and made == before else made

    def _check(self, name: str) -> None:
        """Refuse paths that leave the tree, by themselves or through a link."""
        if posixpath.normpath(name) != name or name.startswith(("/", "../")) or name in {"..", "."}:
            raise PathError(f"patch: {name!r} is not a path inside the directory")
        for parent in parents(name):
            entry = self._there(parent)
            if entry is not None and entry.kind != "dir":
                word = "a symbolic link" if entry.kind == "link" else "a file"
                raise PathError(f"patch: {name} is beyond {parent}, which is {word}")
