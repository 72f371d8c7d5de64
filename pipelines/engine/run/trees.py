"""Run the operations on directories and root filesystems.

Theory of operation
    On a tree every operation is a pure function of `treeops`. On a snapshot, what an operation
    adds becomes one layer, without a mount: links on the way are looked up in the layers
    themselves, never by the kernel; the entries that are there around the change form a small
    tree; the same `treeops` function changes it; and the outcome, which has the parents with
    the metadata that they had, is the layer. Only a removal needs the kernel, for whiteouts.
"""

import os
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pipelines.engine import op as ops
from pipelines.engine.patterns import Matcher, is_pattern
from pipelines.engine.result import Snapshot
from pipelines.engine.run import copying
from pipelines.engine.run.contents import Contents
from pipelines.engine.run.owners import parse_owner
from pipelines.engine.run.removal import matching, unlink
from pipelines.engine.run.replacement import replaced
from pipelines.engine.run.shown import Stack
from pipelines.engine.snapshots.base import Snapshots
from pipelines.engine.snapshots.reading import Hashes, scan_stack
from pipelines.engine.snapshots.stack import level_of
from pipelines.engine.sources.gitignore import Gitignore
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree import ops as treeops
from pipelines.engine.tree.paths import landing, resolve

__all__ = ["Trees"]

Value = Tree | Snapshot
Change = Callable[[Tree, str], Tree]


class Trees:
    """The runner of tree operations.

    `root` is the directory that layers stand in; `recall` and `record` keep which layer a tree
    became.
    """

    __slots__ = (
        "_hashes",
        "_layers",
        "_making",
        "_recall",
        "_record",
        "_root",
        "_snapshots",
        "files",
    )

    def __init__(
        self,
        files: Contents,
        snapshots: Snapshots,
        root: Path,
        *,
        recall: Callable[[str], str | None] = lambda _key: None,
        record: Callable[[str, str], None] = lambda _key, _layer: None,
    ) -> None:
        self.files = files
        self._snapshots = snapshots
        self._root = root
        self._hashes = Hashes(root)
        self._recall = recall
        self._record = record
        self._layers: dict[str, str] = {}
        self._making: dict[str, threading.Lock] = {}

    def run(self, op: ops.Op, inputs: Sequence[Value]) -> Value:  # noqa: C901, PLR0912
        """Run an operation on its inputs, in the order of `op.inputs`.

        Raises:
            PathError: a path is missing, of another kind, or leaves its root.
        """
        match op:
            case ops.Empty():
                return Tree()
            case ops.Scratch():
                return Snapshot()
            case ops.Write():
                return self._write(op, inputs[0])
            case ops.MakeDir():
                return self._make_directory(op, inputs[0])
            case ops.Link():
                return self._link(op, inputs[0])
            case ops.Copy():
                return self._copy(op, inputs[0], self.tree(inputs[1]))
            case ops.Remove():
                return self._remove(op, inputs[0])
            case ops.Select():
                return self._select(op, inputs[0])
            case ops.Filter():
                tree = self.tree(inputs[0])
                return self._kept(tree, op.include, op.exclude, op.gitignore)
            case ops.Diff():
                return treeops.diff(self.tree(inputs[0]), self.tree(inputs[1]))
            case ops.Chown():
                return self._chown(op, inputs[0])
            case ops.Touch():
                return treeops.touch(self.tree(inputs[0]), op.timestamp)
            case ops.Rename():
                return treeops.rename(self.tree(inputs[0]), op.name)
            case ops.Replace():
                return self._replace(op, self.tree(inputs[0]))
            case ops.Pick():
                return copying.pick(self, op, inputs[0])
            case ops.Extract():
                return copying.extract(self, self.tree(inputs[0]))
            case ops.Put():
                pieces = [self.tree(value) for value in inputs[1:]]
                return copying.put(self, op, inputs[0], pieces)
            case ops.Lay():
                return copying.lay(*inputs)
            case ops.Apply() | ops.Merge() | ops.Patch() | ops.WritePatch():
                return self._rework(op, inputs)
        raise TypeError(f"not an operation on trees: {type(op).__name__}")

    def tree(self, value: Value) -> Tree:
        """Give a tree as it is and a snapshot as a tree."""
        return value if isinstance(value, Tree) else self.scan(value, "", "dir")

    def layer_of(self, tree: Tree, owner: str = "") -> str:
        """Make a layer of a tree, once; `owner` (numbers) replaces every owner in it."""
        given = parse_owner(owner, lambda _path: b"")
        key = f"{tree.digest}+{given[0]}:{given[1]}" if given else str(tree.digest)
        return self.remembered(key, lambda into: self._lay(tree, into, given), tree)

    def remembered(self, key: str, fill: Callable[[Path], None], known: Tree | None = None) -> str:
        """Give the layer of a key, made now if it is not there; `known` is what will be in it."""
        # The cells of a matrix ask for their source at once: one makes the layer, the others wait.
        with self._making.setdefault(key, threading.Lock()):
            layer = self._layers.get(key) or self._recall(key)
            if layer is None or not self._snapshots.exists(layer):
                layer = self._snapshots.add(fill, known)
                self._record(key, layer)
            self._layers[key] = layer
        return layer

    def _lay(self, tree: Tree, into: Path, owner: treeops.Owner | None) -> None:
        """Put a tree on disk; an owner gets the directory itself too."""
        self.files.materialise(treeops.chown(tree, "", owner) if owner else tree, into)
        if owner and self.files.owners:
            os.chown(into, *owner)

    # --- one operation each ----------------------------------------------------------------

    def _write(self, op: ops.Write, base: Value) -> Value:
        uid, gid = self.owner(op.owner, base) or (0, 0)
        entry = self.files.write(op.contents, op.mode, uid, gid)
        return self.change(base, op.path, lambda tree, at: treeops.write(tree, at, entry))

    def _make_directory(self, op: ops.MakeDir, base: Value) -> Value:
        owner = self.owner(op.owner, base) or (0, 0)
        return self.change(
            base, op.path, lambda tree, at: treeops.make_directory(tree, at, op.mode, owner)
        )

    def _link(self, op: ops.Link, base: Value) -> Value:
        owner = self.owner(op.owner, base) or (0, 0)
        return self.change(
            base,
            op.path,
            lambda tree, at: treeops.link(tree, at, op.target, owner),
            follow=False,
        )

    def _copy(self, op: ops.Copy, base: Value, source: Tree) -> Value:
        owner = self.owner(op.owner, base)
        view = base if isinstance(base, Tree) else self.stack(base)
        if op.as_file:
            return self.change(
                base,
                landing(view, op.path, source.file[0]),
                lambda tree, at: treeops.copy_file(tree, source, at, owner, op.mode),
                follow=False,
            )
        kept = self._kept(source, op.include, op.exclude, op.gitignore)
        for to, part in treeops.parted(view, kept, resolve(view, op.path)):

            def copy(tree: Tree, at: str, part: Tree = part) -> Tree:
                return treeops.copy_tree(tree, part, at, owner, op.mode)

            base = self.change(base, to, copy, below=part)
        return base

    def _select(self, op: ops.Select, base: Value) -> Tree:
        if isinstance(base, Tree):
            return treeops.select(base, op.path, op.kind)
        return self.scan(base, op.path, op.kind)

    def scan(self, snapshot: Snapshot, path: str, kind: str) -> Tree:
        """Read a directory or file of a snapshot; its files become the store's."""
        stack = self.stack(snapshot)
        at = resolve(stack, path)
        if kind == "any":
            entry = stack.get(at) if at else None
            tree = self.scan(snapshot, path, "dir" if not at or _is_dir(entry) else "file")
            return treeops.wrapped(tree) if not at or _is_dir(entry) else tree
        treeops.select(stack.around([at]), at, kind, shown=path)

        def adopt(file: Path, entry: Entry) -> None:
            self.files.adopt(file, entry)

        tree = scan_stack(self._root, snapshot.layers, at, adopt, self._hashes)
        return treeops.rename(tree, treeops.file_name(path, at)) if kind == "file" else tree

    def _chown(self, op: ops.Chown, base: Value) -> Value:
        owner = self.owner(op.owner, base)
        if owner is None:
            return base
        if isinstance(base, Tree):
            return treeops.chown(base, op.path, owner)
        stack = self.stack(base)
        at = resolve(stack, op.path)
        entry = stack.get(at) if at else None
        if entry is not None and entry.kind != "dir":
            file = self.scan(base, at, "file")
            return self.change(base, at, lambda tree, to: treeops.copy_file(tree, file, to, owner))
        below = self.scan(base, at, "dir")
        return self.change(
            base,
            at,
            lambda tree, to: treeops.chown(treeops.copy_tree(tree, below, to), to, owner),
            below=below,
        )

    def _remove(self, op: ops.Remove, base: Value) -> Value:
        if isinstance(base, Tree):
            return treeops.remove(base, op.paths)
        stack = self.stack(base)
        plain = [path for path in op.paths if not is_pattern(path)]
        gone = [resolve(stack, path, follow=False) for path in plain]
        present = stack.around([at for at in gone if at])
        globs = [path for path in op.paths if is_pattern(path)]
        if not globs and not any(at in present or not at for at in gone):
            return base
        return self._unlinked(base, gone, globs)

    def _unlinked(self, base: Snapshot, gone: Sequence[str], globs: Sequence[str] = ()) -> Snapshot:
        """Remove resolved paths, and what patterns match."""
        if not gone and not globs:
            return base
        active = self._snapshots.prepare(base.layers)
        try:
            found = [path for glob in globs for path in matching(active.path, glob)]
            for at in (*gone, *found):
                unlink(active.path, at)
        except BaseException:
            self._snapshots.discard(active)
            raise
        return Snapshot(self._snapshots.commit(active))

    def _replace(self, op: ops.Replace, tree: Tree) -> Tree:
        name, entry = tree.file
        with self.files.open(entry) as file:
            data = file.read()
        text = replaced(data, op.search.encode(), op.replacement.encode(), op.every, op.first_from)
        made = self.files.write(text, entry.mode, entry.uid, entry.gid, entry.mtime)
        return Tree({name: made})

    def _rework(self, op: ops.Op, inputs: Sequence[Value]) -> Value:
        """Make another tree of the base; of a snapshot, a layer with the difference."""
        from pipelines.engine.run.patching import rework

        base = inputs[0]
        before, *others = (self.tree(one) for one in inputs)
        after = rework(op, before, others, self.files)
        if isinstance(base, Tree) or not isinstance(op, ops.Apply | ops.Patch):
            return after
        gone = [p for p, e in before.items() if p not in after or after[p].kind != e.kind]
        return self._add(self._unlinked(base, gone), treeops.diff(before, after))

    # --- pieces ----------------------------------------------------------------------------

    def change(
        self,
        base: Value,
        path: str,
        change: Change,
        *,
        follow: bool = True,
        below: Iterable[str] | None = None,
    ) -> Value:
        """Apply a change at a path: to the tree, or to what the snapshot has around it."""
        if isinstance(base, Tree):
            return change(base, path)
        stack = self.stack(base)
        at = resolve(stack, path, follow=follow)
        touched = [at]
        if below is not None:
            touched += [f"{at}/{inner}" if at else inner for inner in below]
        around = stack.around(touched)
        made = change(around, at)
        return base if dict(made) == dict(around) else self._add(base, made)

    def _add(self, base: Snapshot, made: Tree) -> Snapshot:
        """Lay a tree over a snapshot as one more layer."""
        if not made:
            return base
        root = self.stack(base).found("")

        def fill(into: Path) -> None:
            self.files.materialise(made, into)
            if root is not None:
                os.chown(into, root.stat.st_uid, root.stat.st_gid)
                os.chmod(into, stat.S_IMODE(root.stat.st_mode))

        return Snapshot((*base.layers, self._snapshots.add(fill, made)))

    def stack(self, snapshot: Snapshot) -> Stack:
        """Show a snapshot's entries, without reading files."""
        return Stack(level_of(self._root, snapshot.layers))

    def numbers(self, owner: str, base: Value) -> str:
        """Spell an owner in numbers, as the users of a root filesystem have them."""
        ids = self.owner(owner, base)
        return "" if ids is None else f"{ids[0]}:{ids[1]}"

    def owner(self, text: str, base: Value) -> treeops.Owner | None:
        """Look an owner up in a base's users; "" is None."""

        def read(path: str) -> bytes:
            if isinstance(base, Snapshot):
                return self.stack(base).read(path)
            at = resolve(base, path)
            return self._bytes(base[at]) if at in base else b""

        return parse_owner(text, read)

    def _bytes(self, entry: Entry) -> bytes:
        if entry.kind != "file":
            return b""
        with self.files.open(entry) as file:
            return file.read()

    def _kept(
        self, tree: Tree, include: tuple[str, ...], exclude: tuple[str, ...], gitignore: bool
    ) -> Tree:
        matcher = Matcher(include, exclude)
        if not gitignore:
            return treeops.keep(tree, matcher)

        def load(directory: str) -> list[str] | None:
            entry = tree.get(f"{directory}/.gitignore" if directory else ".gitignore")
            if entry is None:
                return None
            return self._bytes(entry).decode("utf-8", "surrogateescape").splitlines()

        return treeops.keep(tree, matcher, Gitignore(load).ignores)


def _is_dir(entry: Entry | None) -> bool:
    return entry is not None and entry.kind == "dir"
