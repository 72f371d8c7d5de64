"""Where a room's mounts go: from the outside in, every mount point in the mount it lies in.

Theory of operation
    A target is walked with `inroot` in the root or mount that it lies in, so links lead
    nowhere else; but they may lead *across*: `/a -> /mnt` and a mount at `/mnt` make `/a/x` a
    place in that mount, whose links then count. So what was resolved is looked up among the
    mounts again, until it stays where it is.

    The sandbox mounts /proc, /sys and /dev before the rest, where we see empty directories.
    A mount point below them would be followed by the kernel through links that we can not
    see: `/proc/self/root` is the way out of any root. So nothing is mounted there, whether a
    user asks for it or an image's `/etc/resolv.conf` leads there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.engine.errors import SandboxError
from pipelines.engine.snapshots import inroot

__all__ = ["Place", "Stubs", "innermost", "put"]

Stubs = list[tuple[Path, inroot.Stub]]

# What bubblewrap puts into /dev besides device nodes: links, and the terminals' file system.
_LINKS_OF_DEV = frozenset(("core", "fd", "ptmx", "pts", "stderr", "stdin", "stdout"))


@dataclass(frozen=True, slots=True)
class Place:
    """One mount: its link-free target, and its source on the host (None for a tmpfs)."""

    target: str
    source: Path | None
    readonly: bool = False
    size: int | None = None


def put(root: Path, places: list[Place], stubs: Stubs, place: Place) -> None:
    """Make a mount point where it belongs and remember the mount, and what had to be made.

    Raises:
        SandboxError: the target leads to the root itself, or into the kernel's file systems.
        PathError: something of another kind is there.
    """
    source = place.source
    kind: Literal["dir", "file"] = "dir" if source is None or source.is_dir() else "file"
    target = _reach(root, places, stubs, place.target, kind)
    places.append(Place(target, source, place.readonly, place.size))


def _reach(
    root: Path, places: Sequence[Place], stubs: Stubs, asked: str, kind: Literal["dir", "file"]
) -> str:
    """Make the mount point, and give the path at which the kernel finds it without links."""
    target = asked
    while True:
        outer = innermost(places, target)
        if outer is not None and outer.source is None:  # a new tmpfs: empty, so without links
            return target
        base, prefix = (root, "") if outer is None else (outer.source, outer.target)
        assert base is not None
        if not base.is_dir():
            raise SandboxError(f"mounting at {asked}: a file is mounted at {prefix} already")
        stub = inroot.stub(base, target[len(prefix) :], kind)
        target = prefix + stub.path.rstrip("/")
        inner = innermost(places, target)
        problem = _problem(target) if inner is None else ""
        if inner is outer and not problem:
            if stub.made:
                stubs.append((base, stub))
            return target
        inroot.unstub(base, [stub])
        if problem:
            shown = target or "/"
            leads = "" if shown == asked else f", which leads to {shown}"
            raise SandboxError(f"cannot mount at {asked}{leads}: {problem}")


def _problem(target: str) -> str:
    """Say why nothing can be mounted at a link-free path of the root filesystem."""
    if not target:
        return "use withRootfs to replace the root filesystem"
    top, *below = target.split("/")[1:]
    if top == "proc" or (top == "sys" and below) or (top == "dev" and not below):
        return f"/{top} is the kernel's; mount elsewhere"
    if top == "dev" and below[0] in _LINKS_OF_DEV:
        return f"/dev/{below[0]} is the sandbox's own; mount elsewhere"
    return ""


def innermost(places: Sequence[Place], path: str) -> Place | None:
    """Find the mount that a path lies in: the one with the longest target."""
    around = [p for p in places if path == p.target or path.startswith(p.target + "/")]
    return max(around, key=lambda p: len(p.target), default=None)
