"""The table from op to runner, and what a runner is handed.

    Exec                            run.exec, on the event loop
    Rootfs                          run.rootfs, in a thread
    Archive                         run.archive, in a thread
    Extract                         run.trees, in a thread
    GitTree, HttpFile               run.git, run.http, on the event loop
    everything else                 run.trees: in a thread if a snapshot is involved or files
                                    are compared, else at once: it is a few dictionary operations

`Run` implements `solver.Runner`. It holds no policy: which images exist, what is cached and
how many commands run at once is decided elsewhere.

Whatever an op writes goes to the store's disk, so "no space" is told as what it is here, in
one place for all.
"""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from pipelines.engine.errors import EngineError, StoreFull
from pipelines.engine.events import Events, name_of
from pipelines.engine.op import (
    Apply,
    Archive,
    Exec,
    Extract,
    GitTree,
    HostTree,
    HttpFile,
    Merge,
    Op,
    Patch,
    Rootfs,
    WritePatch,
)
from pipelines.engine.result import Ran, Result, output
from pipelines.engine.run.exec import Execs
from pipelines.engine.run.history import History
from pipelines.engine.run.rootfs import RootfsRunner
from pipelines.engine.run.seeds import Seeds
from pipelines.engine.run.trees import Trees
from pipelines.engine.sources import host
from pipelines.engine.tree import Tree

__all__ = ["Run", "World"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class World(Protocol):
    """What makes the trees that come from servers."""

    async def make(self, op: GitTree | HttpFile, local: Tree | None, slot: anyio.Semaphore) -> Tree:
        """Give what an op names; `local` is the directory that a repository stands in."""
        ...


class Account(Protocol):
    """Keeps account of what commands take."""

    def started(self, op: Exec) -> None:
        """Note that a command runs."""
        ...

    def ended(self, op: Exec, result: Result | None) -> None:
        """Note that it has ended, and with what."""
        ...


class Travel(Protocol):
    """Where content is that records of other machines name."""

    @property
    def account(self) -> Account:
        """What caches cost and save."""
        ...

    def hit(self, op: Op) -> None:
        """Note that a record answered for an op."""
        ...

    async def bring(
        self, op: Op, inputs: Sequence[Result], images: Callable[[Rootfs], object]
    ) -> None:
        """Fetch the layers that running an op over its inputs reads."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """Executes ops; `origin(content, path)` hears where the bytes of host files are."""

    execs: Execs
    rootfs: RootfsRunner
    archive: Callable[[Archive, Sequence[Result]], Tree]
    trees: Trees
    seeds: Seeds
    events: Events
    stat_cache: Path
    origin: Callable[[str, str], None]
    world: World
    history: History
    travel: Travel | None = None

    async def pin(self, op: Op) -> Tree:
        """Read a host directory or file as it is now."""
        if not isinstance(op, HostTree):
            raise EngineError(f"{type(op).__name__} cannot be pinned")
        return await to_thread.run_sync(self._read, op)

    async def before(self, op: Op) -> None:
        """Solve the seeds of cache volumes that do not exist yet."""
        await self.seeds.prepare(op)

    async def run(self, op: Op, inputs: Sequence[Result], slot: anyio.Semaphore) -> Result:
        """Execute an op, what costs most of it in a slot.

        Raises:
            StoreFull: there was no room for what it writes.
        """
        try:
            if self.travel is not None:
                await self.travel.bring(op, inputs, self.rootfs.run)
            return await self._run(op, inputs, slot)
        except Exception as exc:
            if (full := _full(exc)) is None:
                raise
            what = (
                f"run {name_of(op, self.events.hidden)!r}"
                if isinstance(op, Exec)
                else f"make a {type(op).__name__}"
            )
            raise StoreFull(
                f"no room in the store to {what}: {full.strerror}; nothing that was recorded is "
                "lost. Make room with `pipelines cache prune`, or move the store with "
                "PIPELINES_CACHE_DIR"
            ) from exc

    async def _run(self, op: Op, inputs: Sequence[Result], slot: anyio.Semaphore) -> Result:
        match op:
            case Exec():
                run = partial(self._command, op, inputs, slot)
                return await self.history.told(op, inputs, run)
            case Rootfs():
                return await to_thread.run_sync(self.rootfs.run, op)
            case Archive():
                async with slot:
                    return await to_thread.run_sync(self.archive, op, inputs)
            case Extract():
                async with slot:
                    piece = output(inputs[0], op.inputs[0].output)
                    return await to_thread.run_sync(self.trees.run, op, [piece])
            case GitTree() | HttpFile():
                local = self.trees.tree(output(inputs[0], op.inputs[0].output)) if inputs else None
                return await self.world.make(op, local, slot)
            case _:
                values = [output(r, e.output) for r, e in zip(inputs, op.inputs, strict=True)]
                quick = not isinstance(op, Apply | Merge | Patch | WritePatch)
                if quick and all(isinstance(value, Tree) for value in values):
                    return self.trees.run(op, values)
                return await to_thread.run_sync(self.trees.run, op, values)

    async def _command(self, op: Exec, inputs: Sequence[Result], slot: anyio.Semaphore) -> Ran:
        if self.travel is None:
            return await self.execs.run(op, inputs, slot)
        self.travel.account.started(op)
        ran: Ran | None = None
        try:
            ran = await self.execs.run(op, inputs, slot)
            return ran
        finally:
            self.travel.account.ended(op, ran)

    def hit(self, op: Op) -> None:
        """Tell that a record answered for a command."""
        if self.travel is not None:
            self.travel.hit(op)
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


def _full(error: BaseException) -> OSError | None:
    """Find the "no space" in an error, which may be a group of several."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_full, error.exceptions)), None)
    return error if isinstance(error, OSError) and error.errno in FULL else None
