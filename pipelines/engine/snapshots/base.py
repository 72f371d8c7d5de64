"""The contract of a snapshotter.

Vocabulary
    layer       an immutable directory `<root>/<id>/fs` in overlayfs format (whiteouts are
                character devices 0:0, opaque directories carry `user.overlay.opaque=y`),
                named by the digest of what it changes
    stack       layer ids, lowest first: a root filesystem
    active      a writable view of a stack, private to its maker until committed
    ground      a directory that shows through below the lowest layer and is never part of
                anything that is committed: mount points, the host's CA bundle

Rules
    1. A layer becomes visible by one rename, complete; two processes that commit equal
       layers end with one of them. A layer's files are never opened for writing.
    2. An active snapshot is used once: prepare, write, then commit or discard. Both unmount.
       After SIGKILL the next start finds its directory unleased and removes it.
    3. A layer's id digests paths, kinds, modes, owners, link targets, capabilities, contents,
       which names are one file, and the modification times that a tree pins: no other times,
       no inode numbers, no order. Directories that only lie above a change, with the metadata
       that they had, are not changes.
    4. `commit` of an active snapshot in which nothing changed returns its stack unchanged.
    5. All methods block; callers run them in threads. None depends on the current directory.
    6. Paths inside a snapshot are never resolved with the host's rules: `inroot` only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.engine.tree import Tree

__all__ = ["Active", "Snapshots"]


@dataclass(frozen=True, slots=True)
class Active:
    """A writable root filesystem at `path`, on top of `layers`; `token` is the maker's."""

    path: Path
    layers: tuple[str, ...]
    token: str


class Snapshots(Protocol):
    """What the engine asks of a snapshotter; see the rules above."""

    def prepare(self, layers: Sequence[str], ground: Path | None = None) -> Active:
        """Make a writable view of a stack.

        Raises:
            ContentMissing: a layer of the stack is gone.
            StoreFull: no room to make it.
        """
        ...

    def commit(self, active: Active) -> tuple[str, ...]:
        """Unmount, and give the stack with what was written as one more layer, if anything was."""
        ...

    def discard(self, active: Active) -> None:
        """Unmount and throw away; never raises for what is already gone."""
        ...

    def add(
        self,
        fill: Callable[[Path], None],
        tree: Tree | None = None,
        known: Mapping[str, str] | None = None,
    ) -> str:
        """Make a layer from what `fill` puts in an empty directory; give its id.

        `tree` is what `fill` puts there if it is that, from a verified place: its files are
        not read again, its pinned times are part of the layer, and hard links are not.
        `known` has, when `fill` has ended, the hex sha-256 of files that it digested as it
        wrote them, by path.
        """
        ...

    def view(self, layers: Sequence[str]) -> AbstractContextManager[Path]:
        """Show a stack read-only for the length of a `with` block."""
        ...

    def exists(self, layer: str) -> bool:
        """Whether a layer is whole and in place; one `stat`, no more."""
        ...

    def layers(self) -> Iterator[tuple[str, int, int]]:
        """Yield (id, bytes on disk, inodes) of every layer, for garbage collection."""
        ...

    def remove(self, layer: str) -> None:
        """Take a layer away: renamed to the trash first, unlinked after."""
        ...

    def close(self) -> None:
        """Give back what is kept for the next use (mounts); the last call."""
        ...
