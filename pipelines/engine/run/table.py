"""The table from op to runner, and what a runner is handed.

    Exec                            run.exec, on the event loop
    Rootfs                          run.rootfs, in a thread
    Archive                         run.archive, in a thread
    everything else                 run.trees: in a thread if a snapshot is involved,
                                    else at once: it is a few dictionary operations

`Run` implements `solver.Runner`. It holds no policy: which images exist, what is cached and
how many commands run at once is decided elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from pipelines.engine.errors import EngineError
from pipelines.engine.events import Events
from pipelines.engine.op import Archive, CacheMount, Exec, HostTree, Op, Rootfs
from pipelines.engine.result import Result, output
from pipelines.engine.run.archive import ArchiveRunner
from pipelines.engine.run.exec import Execs
from pipelines.engine.run.rootfs import RootfsRunner
from pipelines.engine.run.seeds import Seeds
from pipelines.engine.run.trees import Trees
from pipelines.engine.sources import host
from pipelines.engine.tree import Tree

__all__ = ["Run"]


@dataclass(frozen=True, slots=True)
class Run:
    """Executes ops; `origin(content, path)` hears where the bytes of host files are."""

    execs: Execs
    rootfs: RootfsRunner
    archive: ArchiveRunner
    trees: Trees
    seeds: Seeds
    events: Events
    stat_cache: Path
    origin: Callable[[str, str], None]

    async def pin(self, op: Op) -> Tree:
        """Read a host directory or file as it is now."""
        if not isinstance(op, HostTree):
            raise EngineError(f"{type(op).__name__} cannot be pinned")
        return await to_thread.run_sync(self._read, op)

    async def before(self, op: Op) -> None:
        """Solve the seeds of cache volumes that do not exist yet."""
        if isinstance(op, Exec):
            for mount in op.mounts:
                if isinstance(mount, CacheMount) and mount.volume.seed is not None:
                    await self.seeds.ready(mount.volume)

    async def run(self, op: Op, inputs: Sequence[Result]) -> Result:
        """Execute an op."""
        match op:
            case Exec():
                return await self.execs.run(op, inputs)
            case Rootfs():
                return await to_thread.run_sync(self.rootfs.run, op)
            case Archive():
                return await to_thread.run_sync(self.archive.run, op, inputs)
            case _:
                values = [output(r, e.output) for r, e in zip(inputs, op.inputs, strict=True)]
                if all(isinstance(value, Tree) for value in values):
                    return self.trees.run(op, values)
                return await to_thread.run_sync(self.trees.run, op, values)

    def hit(self, op: Op, result: Result) -> None:
        """Tell that a record answered for a command."""
        if isinstance(op, Exec):
            self.events.exec(op, "cached")

    def _read(self, op: HostTree) -> Tree:
        reading = host.read(
            op.path,
            kind=op.kind,
            include=op.include,
            exclude=op.exclude,
            gitignore=op.gitignore,
            cache_dir=self.stat_cache,
        )
        for text in reading.warnings:
            self.events.warning(text)
        for content, path in reading.origins.items():
            self.origin(content, path)
        return reading.tree
