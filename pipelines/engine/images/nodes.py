"""The paths of a layer while it is unpacked, over those of the layers below it.

Names in an archive are resolved on this model and never by the kernel: a node knows whether
it is a directory, a link, or something else, so walking a name needs no system call for what
the archive itself made, and can not leave the root whatever the links say. What the archive
did not make is looked up in `lower`, a read-only view of the layers below, one component at
a time, each known to be a directory.

A node that comes from below is not `made`: it exists on disk only once something is put in it.
"""

import os
import stat
from typing import Literal

from pipelines.engine.errors import ImageError
from pipelines.engine.images.tarread import Limits, Member

__all__ = ["Node", "NodeKind", "Paths", "components"]

NodeKind = Literal["dir", "link", "other", "whiteout"]

_LINKS = 40  # as many as the kernel follows


class Node:
    """A path of the layer.

    `lower` is the directory of the view that shows through, None if nothing does; `member`
    the archive's entry or None; `opaque` says that the directory hides what is below; `sha256`
    is that of the bytes that were written, in hex, or "".
    """

    __slots__ = (
        *("children", "depth", "kind", "length", "lower", "made", "member", "name", "opaque"),
        *("parent", "sha256", "target"),
    )

    def __init__(self, kind: NodeKind, name: bytes, parent: "Node | None") -> None:
        self.kind: NodeKind = kind
        self.name = name
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.length: int = parent.length + len(name) + 1 if parent else 0
        self.children: dict[bytes, Node] = {}
        self.target = b""
        self.sha256 = ""
        self.lower: bytes | None = None
        self.made = False
        self.opaque = False
        self.member: Member | None = None


class Paths:
    """Resolves names to nodes; `lower` None means that nothing is known of what is below."""

    def __init__(self, lower: bytes | None, limits: Limits) -> None:
        self.root = Node("dir", b"", None)
        self.root.made = True
        self.root.lower = lower
        self.known = lower is not None
        self._limits = limits

    def child(self, node: Node, name: bytes) -> Node | None:
        """Look a name up in a directory: in the archive so far, then below."""
        found = node.children.get(name)
        if found is None and node.lower is not None:
            found = self._below(node, name, node.lower + b"/" + name)
        return found

    def _below(self, node: Node, name: bytes, path: bytes) -> Node | None:
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return None
        if stat.S_ISDIR(mode):
            found = self.add(node, name, "dir")
            found.lower = path
        elif stat.S_ISLNK(mode):
            found = self.add(node, name, "link")
            found.target = os.readlink(path)
        else:
            found = self.add(node, name, "other")
        return found

    def add(self, parent: Node, name: bytes, kind: NodeKind) -> Node:
        """Put a new node under a directory, in place of what had the name.

        Raises:
            ImageError: nested too deep, or the path is too long.
        """
        node = Node(kind, name, parent)
        if node.depth > self._limits.depth or node.length > self._limits.path:
            raise ImageError(
                f"the archive has a path of {node.length} bytes in {node.depth} levels; at most "
                f"{self._limits.path} in {self._limits.depth} are unpacked"
            )
        parent.children[name] = node
        return node

    def directory(self, parts: list[bytes], *, make: bool) -> Node | None:
        """Walk to a directory, following links inside the root.

        With `make`, what is missing becomes a directory (not made on disk yet); without,
        None is given.

        Raises:
            ImageError: something on the way is a file, or the links loop.
        """
        node, todo, links = self.root, list(reversed(parts)), 0
        while todo:
            name = todo.pop()
            if name == b"..":
                node = node.parent or self.root
                continue
            found = self.child(node, name)
            if found is None or found.kind == "whiteout":
                if not make:
                    return None
                found = self.replace(node, name, "dir")
            if found.kind == "link":
                links += 1
                if links > _LINKS:
                    raise ImageError(f"a path in the archive goes through too many links: {name!r}")
                if found.target.startswith(b"/"):
                    node = self.root
                todo += [p for p in reversed(found.target.split(b"/")) if p not in {b"", b"."}]
            elif found.kind == "dir":
                node = found
            elif make:
                raise ImageError(f"the archive has an entry below {name!r}, which is a file")
            else:
                return None
        return node

    def replace(self, parent: Node, name: bytes, kind: NodeKind) -> Node:
        """Add a node that hides whatever is below it; a directory becomes opaque if it must."""
        before = parent.children.get(name)
        node = self.add(parent, name, kind)
        if before is not None and before.made and kind == "dir":
            # What stood here hid the lower directory of this name; so must this one.
            node.opaque = self.hides(parent, name)
        return node

    def hides(self, parent: Node, name: bytes) -> bool:
        """Tell whether there is, or may be, something below of this name."""
        if parent.lower is not None:
            return os.path.lexists(parent.lower + b"/" + name)
        return not self.known and not _under_opaque(parent)


def _under_opaque(node: Node | None) -> bool:
    while node is not None:
        if node.opaque:
            return True
        node = node.parent
    return False


def components(name: bytes) -> list[bytes]:
    """Split a name of an archive into components, lexically normalised.

    Raises:
        ImageError: the name leaves the root, or has a zero byte.
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise ImageError(f"the archive has a name that leaves its root: {name[:200]!r}")
            parts.pop()
        elif part not in {b"", b"."}:
            parts.append(part)
    if b"\0" in name:
        raise ImageError(f"the archive has a name with a zero byte: {name[:200]!r}")
    return parts
