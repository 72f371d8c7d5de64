"""Where a room's mounts go: from the outside in, every mount point in the mount it lies in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.engine.errors import SandboxError
from pipelines.engine.snapshots import inroot

__all__ = ["Place", "Stubs", "innermost", "put"]

Stubs = list[tuple[Path, inroot.Stub]]


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
        SandboxError: the target is the root itself.
    """
    target, source = place.target, place.source
    if target == "/":
        raise SandboxError("cannot mount at /: use withRootfs to replace the root filesystem")
    outer = innermost(places, target)
    if outer is not None and outer.source is None:
        places.append(place)
        return
    base = root if outer is None else outer.source
    assert base is not None
    prefix = "" if outer is None else outer.target
    kind: Literal["dir", "file"] = "dir" if source is None or source.is_dir() else "file"
    stub = inroot.stub(base, target[len(prefix) :], kind)
    if stub.made:
        stubs.append((base, stub))
    places.append(Place(prefix + stub.path, source, place.readonly, place.size))


def innermost(places: Sequence[Place], path: str) -> Place | None:
    """Find the mount that a path lies in: the one with the longest target."""
    around = [p for p in places if path == p.target or path.startswith(p.target + "/")]
    return max(around, key=lambda p: len(p.target), default=None)
