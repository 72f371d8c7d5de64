"""Images that leave the engine: what most sessions never do, so it is imported when it is asked.

archive     run.archive      a file of the graph
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine.images.local import Images
from pipelines.engine.op import Archive
from pipelines.engine.result import Result
from pipelines.engine.store.files import Files
from pipelines.engine.tree import Tree

if TYPE_CHECKING:
    from pipelines.engine.run.compose import Composer

__all__ = ["Outgoing"]


class Outgoing:
    """Writes images; `shelf` is the directory of the snapshots' layers."""

    def __init__(self, images: Images, shelf: Path, files: Files) -> None:
        self._images = images
        self._shelf = shelf
        self._files = files

    @cached_property
    def _composer(self) -> "Composer":
        from pipelines.engine.run.compose import Composer

        return Composer(self._images, self._shelf, self._files, self._images.local)

    def archive(self, op: Archive, inputs: Sequence[Result]) -> Tree:
        """Run an `Archive`; blocks."""
        from pipelines.engine.run.archive import ArchiveRunner

        return ArchiveRunner(self._composer, self._images, self._files).run(op, inputs)
