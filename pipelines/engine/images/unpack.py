"""Unpack a layer's tar into an overlay-format directory, safe against any archive.

Theory of operation
    1. Names are resolved on a model of the layer (`nodes.Paths`), never by the kernel.
    2. Files are made through descriptors of their directories, which were opened one component
       at a time with O_NOFOLLOW, and with O_EXCL after removing what was there: nothing is
       ever written through an existing name, link or hard link.
    3. `.wh.x` becomes a character device 0:0 and `.wh..wh..opq` the attribute
       `user.overlay.opaque`. Both hide only what is in the layers below, never an entry of
       this layer, in whatever order they come.
    4. Directories get their owner, mode, attributes and time at the end, deepest first.
    5. Devices are left out: an ordinary user can not make them, and the sandbox has its own.

Source: OCI image-spec layer.md; Linux Documentation/filesystems/overlayfs.
"""

import errno
import os
import shutil
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ImageError, StoreFull
from pipelines.engine.images.making import Making, described
from pipelines.engine.images.nodes import Node, NodeKind, Paths, components
from pipelines.engine.images.ownership import Ownership, current
from pipelines.engine.images.tarread import LIMITS, Limits, Member, TarReader

__all__ = ["Unpacked", "unpack"]

_WHITEOUT, _OPAQUE, _META = b".wh.", b".wh..wh..opq", b".wh..wh."
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DESCRIPTORS = 256


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was unpacked.

    `diff_id` digests the tar of `size` bytes; `hashes` are those of the files that were made,
    by path, hex sha-256.
    """

    diff_id: Digest
    size: int
    hashes: Mapping[str, str]


def unpack(
    read: Callable[[int], bytes],
    into: Path,
    lower: Path | None = None,
    limits: Limits = LIMITS,
    ownership: Ownership | None = None,
    *,
    digest: Callable[[], Digest] | None = None,
) -> Unpacked:
    """Unpack a plain tar stream into an empty directory.

    Args:
        read: gives at most n bytes of the tar, b"" at its end.
        into: an empty directory.
        lower: a view of the layers below, for links and directories that the layer builds on;
            an empty directory for the lowest; None if it is not known.
        limits: what counts as an attack.
        ownership: which owners can be set; by default what this process may.
        digest: gives the diff_id at the end, if `read` digests what it gives.

    Raises:
        ImageError: the archive is damaged, hostile or too large. StoreFull: no room.
    """
    reader = TarReader(read, limits, digests=digest is None)
    base = os.fsencode(lower) if lower is not None else None
    unpacker = _Unpacker(into, Paths(base, limits), ownership or current())
    name = b""
    try:
        for member in reader:
            name = member.name
            unpacker.add(member, reader.content())
        hashes = unpacker.finish()
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(f"no room to unpack a layer into {into}") from exc
        raise ImageError(f"unpacking a layer, at {name[:200]!r}: {exc.strerror}") from exc
    finally:
        unpacker.close()
    return Unpacked(digest() if digest else reader.digest, reader.size, hashes)


class _Unpacker:
    def __init__(self, into: Path, paths: Paths, ownership: Ownership) -> None:
        self._paths = paths
        self._files = Making(ownership)
        self._root = os.open(into, _OPEN)
        self._open: OrderedDict[Node, int] = OrderedDict()
        # Holds only until something is replaced or hidden.
        self._last: tuple[list[bytes], Node] | None = None

    def close(self) -> None:
        """Close every descriptor."""
        for descriptor in (*self._open.values(), self._root):
            os.close(descriptor)
        self._open.clear()

    def add(self, member: Member, content: Iterator[bytes]) -> None:
        """Put one entry of the archive on disk."""
        parts = components(member.name)
        if not parts:
            if member.kind != "dir":
                raise ImageError("the archive replaces the root directory by something else")
            self._paths.root.member = member
            return
        *above, name = parts
        if _WHITEOUT in member.name:
            if any(part.startswith(_META) and part != _OPAQUE for part in parts):
                return  # AUFS's own bookkeeping
            if any(part.startswith(_WHITEOUT) for part in above):
                text = f"the archive has an entry below a whiteout: {member.name[:200]!r}"
                raise ImageError(text)
            if name.startswith(_WHITEOUT):
                self._last = None
                self._whiteout(above, name)
                return
        if member.kind != "device":
            self._put(member, self._parent(above), name, content)

    def _parent(self, above: list[bytes]) -> Node:
        """Find the directory of an entry, which most often is that of the entry before."""
        if self._last is None or self._last[0] != above:
            parent = self._paths.directory(above, make=True)
            assert parent is not None
            self._last = (above, parent)
        return self._last[1]

    def _put(self, member: Member, parent: Node, name: bytes, content: Iterator[bytes]) -> None:
        if member.kind == "dir":
            found = self._paths.child(parent, name)
            if found is None or found.kind != "dir":
                found = self._clear(parent, name, "dir")
            found.member = member
            self._make(found)
            return
        source = self._source(member) if member.kind == "hardlink" else None
        if source is not None and source is parent.children.get(name):
            return
        node = self._clear(parent, name, "link" if _is_link(member, source) else "other")
        at = self._descriptor(parent)
        match member.kind:
            case "file":
                node.sha256 = self._files.write(member, at, name, content)
            case "symlink":
                node.target = member.target
                self._files.link(member, at, name)
            case "fifo":
                self._files.fifo(member, at, name)
            case _:
                assert source is not None
                self._link(source, at, node)
        node.made = True

    def _source(self, member: Member) -> Node:
        """Find what a hard link names, which must stand in the archive before it or below."""
        *above, last = components(member.target) or [b""]
        directory = self._paths.directory(above, make=False)
        found = self._paths.child(directory, last) if directory is not None else None
        if found is None or found.kind in {"dir", "whiteout"}:
            what = "a directory" if found is not None and found.kind == "dir" else "not there"
            raise ImageError(
                f"the archive has a hard link {member.name[:200]!r} to "
                f"{member.target[:200]!r}, which is {what}"
            )
        return found

    def _link(self, source: Node, at: int, node: Node) -> None:
        above = source.parent
        assert above is not None
        node.target, node.sha256 = source.target, source.sha256
        if not source.made:
            self._copy_up(source, at, node.name)
            return
        try:
            os.link(
                source.name,
                node.name,
                src_dir_fd=self._descriptor(above),
                dst_dir_fd=at,
                follow_symlinks=False,
            )
        except OSError as exc:
            if exc.errno != errno.EMLINK:
                raise
            self._files.copy(source.name, self._descriptor(above), at, node.name)

    def _copy_up(self, source: Node, at: int, name: bytes) -> None:
        """Make a hard link to a file of a layer below: the file itself comes up."""
        above = source.parent
        assert above is not None
        assert above.lower is not None
        if source.kind == "link":
            os.symlink(source.target, name, dir_fd=at)
            return
        directory = os.open(above.lower, _OPEN)
        try:
            self._files.copy(source.name, directory, at, name)
        finally:
            os.close(directory)

    def _whiteout(self, above: list[bytes], name: bytes) -> None:
        parent = self._paths.directory(above, make=not self._paths.known)
        victim = name[len(_WHITEOUT) :]
        if victim in {b"", b".", b".."}:
            raise ImageError(f"the archive has a whiteout of nothing: {name!r}")
        if parent is None:
            return
        if name == _OPAQUE:
            self._hide(parent)
            return
        found = parent.children.get(victim)
        if found is not None and found.made:
            if found.kind == "dir":
                self._hide(found)
        elif self._paths.hides(parent, victim):
            os.mknod(victim, stat.S_IFCHR, 0, dir_fd=self._descriptor(parent))
            self._paths.add(parent, victim, "whiteout").made = True

    def _hide(self, node: Node) -> None:
        """Make a directory opaque, if there is or may be something to hide."""
        node.children = {n: c for n, c in node.children.items() if c.made}
        if node.parent is None:
            self._hide_all(node)
        elif node.lower is not None or self._paths.hides(node.parent, node.name):
            self._make(node)
            node.opaque = True
        node.lower = None

    def _hide_all(self, root: Node) -> None:
        """Hide all that is below: overlayfs does not know an opaque root."""
        if not self._paths.known:
            raise ImageError("the archive hides the whole root, and what is below is not known")
        for name in os.listdir(root.lower) if root.lower is not None else ():
            if name not in root.children:
                os.mknod(name, stat.S_IFCHR, 0, dir_fd=self._root)
                self._paths.add(root, name, "whiteout").made = True

    def _clear(self, parent: Node, name: bytes, kind: NodeKind) -> Node:
        """Remove what the archive made under a name before, and take the name."""
        before = parent.children.get(name)
        if before is not None:
            self._last = None
        if before is not None and before.made:
            at = self._descriptor(parent)
            if before.kind == "dir":
                self._forget(before)
                shutil.rmtree(os.fsdecode(name), dir_fd=at)
            else:
                os.unlink(name, dir_fd=at)
        return self._paths.replace(parent, name, kind)

    def _make(self, node: Node) -> None:
        """Make a directory, and those above it, on disk."""
        if node.made:
            return
        parent = node.parent
        assert parent is not None
        at = self._descriptor(parent)
        try:
            os.mkdir(node.name, 0o700, dir_fd=at)
        except FileExistsError:  # a whiteout of this layer, which the directory replaces
            os.unlink(node.name, dir_fd=at)
            os.mkdir(node.name, 0o700, dir_fd=at)
        node.made = True

    def _descriptor(self, node: Node) -> int:
        """Give a descriptor of a directory, making it first if it comes from below."""
        if node.parent is None:
            return self._root
        if (found := self._open.get(node)) is not None:
            self._open.move_to_end(node)
            return found
        self._make(node)
        made = os.open(node.name, _OPEN, dir_fd=self._descriptor(node.parent))
        self._open[node] = made
        if len(self._open) > _DESCRIPTORS:
            os.close(self._open.popitem(last=False)[1])
        return made

    def _forget(self, node: Node) -> None:
        """Close the descriptors of a directory that goes away and of all below it."""
        todo = [node]
        while todo:
            gone = todo.pop()
            todo.extend(gone.children.values())
            if (descriptor := self._open.pop(gone, None)) is not None:
                os.close(descriptor)

    def finish(self) -> dict[str, str]:
        """Give the directories what is known of them, deepest first; give the files' hashes."""
        hashes: dict[str, str] = {}
        made = [(self._paths.root, b"")]
        for node, path in made:
            for child in node.children.values():
                if child.kind == "dir" and child.made:
                    made.append((child, path + child.name + b"/"))
                elif child.sha256:
                    hashes[os.fsdecode(path + child.name)] = child.sha256
        for node, _ in reversed(made):
            self._settle_directory(node)
        return hashes

    def _settle_directory(self, node: Node) -> None:
        descriptor = self._descriptor(node)
        if node.opaque:
            os.setxattr(descriptor, "user.overlay.opaque", b"y")
        member = node.member
        if member is None and node.lower is not None:
            below = os.open(node.lower, _OPEN)
            try:
                member = described(below, node.name)
            finally:
                os.close(below)
        self._files.settle(member or Member(node.name, "dir", 0o755, 0, 0, 0, 0), descriptor)


def _is_link(member: Member, source: Node | None) -> bool:
    return member.kind == "symlink" or (source is not None and source.kind == "link")
