"""Snapshots by copies, where overlayfs is refused: slower, with the same layers.

Theory of operation
    An active snapshot is a whole copy of its stack, and of the ground under it (blocks are
    shared where the filesystem can). Commit walks the copy beside the stack as a *complete*
    directory (`layer.Scan`): what is equal goes, what is missing becomes whiteouts, and the
    rest is the layer. Files that still have the change time that the copy gave them were not
    written to, so their bytes are not read again; a time too near to the end of the copying
    proves nothing, because the kernel's clock is coarse (git's "racy" rule).
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.engine.errors import StoreError
from pipelines.engine.snapshots.base import Active
from pipelines.engine.snapshots.layer import Scan
from pipelines.engine.snapshots.merge import Merge, copy_file, link_file
from pipelines.engine.snapshots.shelf import Shelf, clear, storing
from pipelines.engine.snapshots.stack import Found, level_of

__all__ = ["Copy"]

_RACY = 50_000_000  # nanoseconds: several ticks of the coarsest kernel clock (100 Hz)


class Copy(Shelf):
    """`Snapshots` by copies; needs no namespace and no privilege."""

    def __init__(self, root: Path, active: Path) -> None:
        super().__init__(root, active)
        self._live: dict[str, Scan] = {}

    def prepare(self, layers: Sequence[str], ground: Path | None = None) -> Active:
        """Make a writable copy of a stack; see `Snapshots.prepare`."""
        with storing("prepare a snapshot"):
            level = level_of(self.root, layers, ground)
            token = self.place()
            home = f"{self.active}/{token}"
            times: dict[int, int] = {}
            skipped: set[str] = set()

            def put(found: Found, target: str) -> None:
                if copy_file(found, target):
                    made = os.lstat(target)
                    times[made.st_ino] = made.st_ctime_ns
                else:
                    skipped.add(found.rel)

            try:
                Merge(put).run(level, f"{home}/fs")
            except BaseException:
                clear(home)
                raise
        sure = time.time_ns() - _RACY
        untouched = {inode: at for inode, at in times.items() if at < sure}
        self._live[token] = Scan(level, complete=True, untouched=untouched, skipped=skipped)
        return Active(Path(home, "fs"), tuple(layers), token)

    def commit(self, active: Active) -> tuple[str, ...]:
        """Give the stack with the changes as one more layer, if there are any."""
        if active.token not in self._live:
            raise StoreError(f"commit a snapshot: {active.path} was committed or discarded before")
        scan = self._live.pop(active.token)
        home = f"{self.active}/{active.token}"
        with storing("commit a snapshot"):
            try:
                if not scan.run(f"{home}/fs"):
                    return active.layers
                return (*active.layers, self.publish(f"{home}/fs", scan))
            finally:
                clear(home)

    def discard(self, active: Active) -> None:
        """Throw away; what is already gone is no matter."""
        if self._live.pop(active.token, None) is not None:
            clear(f"{self.active}/{active.token}")

    @contextmanager
    def view(self, layers: Sequence[str]) -> Iterator[Path]:
        """Show a stack for the length of a `with` block: hard links, not to be written to."""
        with storing("show a snapshot"):
            level = level_of(self.root, layers)
            home = f"{self.active}/{self.place()}"
            try:
                Merge(link_file).run(level, f"{home}/fs")
            except BaseException:
                clear(home)
                raise
        try:
            yield Path(home, "fs")
        finally:
            clear(home)
