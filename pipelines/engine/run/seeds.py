"""Seeds: what a cache volume starts with.

A volume's seed is not part of any key, so it is no input of the exec that mounts the volume;
it is solved only when the volume does not exist yet, before a slot is taken, and copied in
(never linked: a volume is written to) when the volume is made. What other machines have left of it
in a cache that travels goes before its seed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from pipelines.engine.op import CacheMount, CacheVolume, Edge, Exec, Op
from pipelines.engine.tree import Tree

__all__ = ["Seeds"]

Fill = Callable[[Path], None]


class Volumes(Protocol):
    """Where cache volumes live."""

    def open(
        self, volume: CacheVolume, fill: Fill | None = None
    ) -> AbstractAsyncContextManager[Path]:
        """Hold a volume, made with `fill` if it did not exist."""
        ...


class Travelling(Protocol):
    """Volumes that other machines have filled."""

    def filling(self, volume: CacheVolume, seed: Fill | None) -> Fill | None:
        """Give what fills a volume if it is to be made."""
        ...

    def mounted(self, volume: CacheVolume) -> None:
        """Hear that a command has a volume."""
        ...


class Seeds:
    """Volumes that are made with their seeds."""

    def __init__(
        self,
        volumes: Volumes,
        exists: Callable[[CacheVolume], bool],
        copy: Callable[[Tree, Path], None],
    ) -> None:
        self._volumes = volumes
        self._exists = exists
        self._copy = copy
        self._ready: dict[tuple[str, str], Tree] = {}
        self.travelling: Travelling | None = None
        self._solve: Callable[[Edge], Awaitable[Tree]] | None = None

    def solving(self, solve: Callable[[Edge], Awaitable[Tree]]) -> None:
        """Say who solves a seed; the solver itself needs the runners first."""
        self._solve = solve

    async def ready(self, volume: CacheVolume) -> None:
        """Solve a volume's seed, if the volume is still to be made."""
        if volume.seed is None or self._solve is None:
            return
        # A PRIVATE user may find the volume taken, and then makes one more.
        if volume.sharing == "PRIVATE" or not self._exists(volume):
            self._ready[volume.namespace, volume.key] = await self._solve(volume.seed)

    async def prepare(self, op: Op) -> None:
        """Solve the seeds of an exec's volumes."""
        if isinstance(op, Exec):
            for mount in op.mounts:
                if isinstance(mount, CacheMount):
                    await self.ready(mount.volume)

    @asynccontextmanager
    async def open(self, volume: CacheVolume) -> AsyncIterator[Path]:
        """Hold a volume for the length of the block."""
        tree = self._ready.get((volume.namespace, volume.key))
        fill = None if tree is None else lambda into: self._copy(tree, into)
        if self.travelling is not None:
            fill = self.travelling.filling(volume, fill)
        async with self._volumes.open(volume, fill) as path:
            if self.travelling is not None:
                self.travelling.mounted(volume)
            yield path
