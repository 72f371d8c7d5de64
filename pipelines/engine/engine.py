"""The composition root: where the parts of the engine meet, and nowhere else.

`opened(settings)` takes a lease on the store, wires

    api → solver → run → snapshots · sandbox · images · sources → store

and gives an `Engine`, which is what the API calls (`api.engine.Engine`) and what answers
queries for the server. Leaving it stops what is running, then releases the lease.
"""

import os
import platform as host_platform
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from pipelines.engine import ground, treepath, upkeep
from pipelines.engine.api import query
from pipelines.engine.api.session import Session
from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.events import Events, traced
from pipelines.engine.images.archive import Archives
from pipelines.engine.images.info import ImageInfo
from pipelines.engine.images.local import Images
from pipelines.engine.images.packages import catalog
from pipelines.engine.images.resolve import Resolver, choice
from pipelines.engine.op import Edge, Op, Select
from pipelines.engine.result import Result, Snapshot, output
from pipelines.engine.run.archive import ArchiveRunner
from pipelines.engine.run.exec import Execs
from pipelines.engine.run.export import export_file, export_tree
from pipelines.engine.run.rooms import HOSTNAME, Rooms
from pipelines.engine.run.rootfs import RootfsRunner
from pipelines.engine.run.seeds import Seeds
from pipelines.engine.run.shown import Stack
from pipelines.engine.run.table import Run
from pipelines.engine.run.trees import Trees
from pipelines.engine.sandbox import apart, binary
from pipelines.engine.sandbox.bwrap import Bubblewrap
from pipelines.engine.sandbox.namespace import Mode
from pipelines.engine.server import Request
from pipelines.engine.snapshots.base import Snapshots
from pipelines.engine.snapshots.kernel import mount, umount
from pipelines.engine.snapshots.probe import choose
from pipelines.engine.snapshots.stack import level_of
from pipelines.engine.solver import Solver
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout, default_root
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.locks import Locks
from pipelines.engine.store.records import Records
from pipelines.engine.store.volumes import Volumes
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.version import VERSION

__all__ = ["Engine", "Settings", "opened"]

DURABLE_EVERY = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session runs; `events` is a file descriptor or None, `jobs` commands at once."""

    workdir: str
    jobs: int
    mode: Mode
    events: int | None = None


class Engine:
    """What fields and the server ask of the engine; see `api.engine.Engine`."""

    version = VERSION

    def __init__(self, parts: "Parts", settings: Settings, solver: Solver) -> None:
        self.workdir = Path(settings.workdir).resolve()
        self.platform = f"linux/{_ARCHITECTURES.get(host_platform.machine(), 'amd64')}"
        self._parts = parts
        self._solver = solver
        self._session = Session(self)
        self._pinned: dict[tuple[str, str], ImageInfo] = {}
        self._pinning = anyio.Lock()

    async def answer(self, request: Request) -> bytes:
        """Answer a query, attributed to the span that it came from."""
        with traced(request.traceparent):
            return await query.answer(
                self._session, request.query, request.variables, request.operation
            )

    async def solve(self, op: Op) -> Result:
        """Give an op's result."""
        return await self._solver.solve(op)

    async def tree(self, edge: Edge) -> Tree:
        """Give an edge as a tree; a snapshot is read as one."""
        picked = output(await self.solve(edge.op), edge.output)
        if isinstance(picked, Snapshot):
            picked = output(await self.solve(Select(edge, "/")), "")
        assert isinstance(picked, Tree)
        return picked

    async def status(self, edge: Edge, path: str, follow: bool) -> Entry | None:
        """Look one path up in what an edge gives, without reading the rest of it."""
        picked = output(await self.solve(edge.op), edge.output)
        if isinstance(picked, Tree):
            return treepath.status(picked, path, follow=follow)
        root = self._parts.layout.snapshots
        return await to_thread.run_sync(
            lambda: treepath.status(Stack(level_of(root, picked.layers)), path, follow=follow)
        )

    async def resolve_image(self, ref: str, platform: str) -> ImageInfo:
        """Pin a reference, once a session."""
        async with self._pinning:
            known = self._pinned.get((ref, platform))
            if known is None:
                known = await to_thread.run_sync(self._parts.resolver.resolve, ref, platform)
                self._pinned[ref, platform] = known
        return known

    async def import_image(self, edge: Edge, tag: str) -> ImageInfo:
        """Read the image out of an archive."""
        tree = await self.tree(edge)
        return await to_thread.run_sync(self._parts.archives.load, tree, tag, self.platform)

    async def blob(self, digest: str) -> bytes:
        """Give a blob whole."""
        return await to_thread.run_sync(self._parts.blobs.get, Digest(digest))

    async def read(self, entry: Entry, limit: int | None) -> bytes:
        """Give a file's bytes."""
        return await to_thread.run_sync(self._parts.files.read, entry, limit)

    async def export_tree(self, tree: Tree, path: str, wipe: bool) -> str:
        """Write a tree into a host directory."""
        dest = self.workdir / path
        stat_cache = self._parts.layout.stat
        await to_thread.run_sync(
            lambda: export_tree(tree, self._parts.files, dest, wipe=wipe, cache_dir=stat_cache)
        )
        return str(dest)

    async def export_file(self, tree: Tree, path: str, allow_parent_dir_path: bool) -> str:
        """Write a file to the host."""
        dest = os.path.join(self.workdir, path)
        written = await to_thread.run_sync(
            lambda: export_file(
                tree, self._parts.files, dest, allow_parent_dir_path=allow_parent_dir_path
            )
        )
        return str(written)


_MNT_DETACH = 2
_SECRET_FLAGS = 0x2 | 0x4 | 0x8  # nosuid, nodev, noexec
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64", "ppc64le": "ppc64le"}


@dataclass(frozen=True, slots=True)
class Parts:
    """What is put together for one session."""

    layout: Layout
    blobs: Blobs
    files: Files
    records: Records
    locks: Locks
    volumes: Volumes
    snapshots: Snapshots
    images: Images
    resolver: Resolver
    archives: Archives
    run: Run
    seeds: Seeds


class Cache:
    """The solver's cache: rows from the records, exclusion from the locks."""

    def __init__(self, records: Records, locks: Locks) -> None:
        self.get = records.get
        self.put = records.put
        self.forget = records.forget
        self.locked = locks.locked


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Engine]:
    """Open the store and put an engine together for one session."""
    layout = Layout.open(default_root(os.environ))
    with ExitStack() as stack:
        stack.callback(upkeep.collect, layout, owners=settings.mode != "single")
        lease = stack.enter_context(Lease.take(layout))
        parts = _assemble(layout, lease, settings, os.environ, stack)
        cache = Cache(parts.records, parts.locks)
        async with Solver(cache, parts.run, settings.jobs).open() as solver:
            engine = Engine(parts, settings, solver)
            parts.seeds.solving(engine.tree)
            async with anyio.create_task_group() as group:
                group.start_soon(_keep_durable, parts.records)
                yield engine
                group.cancel_scope.cancel()


async def _keep_durable(records: Records) -> None:
    """Now and then, write out what was recorded, so that it counts after a reboot.

    Not at the end of a session: a client waits for that, and what is lost is only time.
    """
    while True:
        await anyio.sleep(DURABLE_EVERY)
        await to_thread.run_sync(records.mark_durable, abandon_on_cancel=True)


def _assemble(
    layout: Layout, lease: Lease, settings: Settings, environ: Mapping[str, str], stack: ExitStack
) -> Parts:
    """Wire the parts; what needs closing goes on the stack."""
    events = Events(settings.events)
    blobs, files = Blobs(layout), Files(layout, owners=settings.mode != "single")
    snapshots, why = choose(layout.snapshots, lease.path)
    if why:
        events.warning(f"overlayfs cannot be used here ({why}): files are copied, which is slower")
    stack.callback(snapshots.close)
    records, locks = Records(layout, snapshots.exists), Locks(layout)
    stack.callback(records.close)
    stack.callback(locks.close)
    images, single = Images(layout.images), settings.mode == "single"
    packages = catalog(environ, layout.images, apart.prefix(single=single), single=single)
    resolver = Resolver(images, packages, events.warning, source=choice(environ))
    trees = _trees(layout, files, snapshots, records)
    volumes = Volumes(layout)
    seeds = Seeds(volumes, volumes.has, _copier(files))
    sandbox = Bubblewrap(binary.find(environ.get("PATH")), settings.mode)
    stack.callback(sandbox.close)
    rooms = _rooms(snapshots, trees, lease.path, environ, stack)
    run = Run(
        Execs(rooms, sandbox, seeds, blobs, events),
        RootfsRunner(images, snapshots, packages),
        ArchiveRunner(images, layout.snapshots, files),
        trees,
        seeds,
        events,
        layout.stat,
        files.origin,
    )
    archives = Archives(images, files)
    return Parts(
        layout,
        blobs,
        files,
        records,
        locks,
        volumes,
        snapshots,
        images,
        resolver,
        archives,
        run,
        seeds,
    )


def _rooms(
    snapshots: Snapshots, trees: Trees, active: Path, environ: Mapping[str, str], stack: ExitStack
) -> Rooms:
    """Lay the ground and mount the tmpfs that secrets live on while a command runs."""
    session = active / "session"
    memory = session / "memory"
    memory.mkdir(parents=True, mode=0o700)
    mount("tmpfs", str(memory), "tmpfs", _SECRET_FLAGS, "mode=0700")
    stack.callback(umount, str(memory), _MNT_DETACH)
    host = ground.lent(session, environ, Path.home(), HOSTNAME)
    laid = ground.lay(session / "ground", host.ca_bundle)
    return Rooms(snapshots, trees, host, laid, session, memory)


def _trees(layout: Layout, files: Files, snapshots: Snapshots, records: Records) -> Trees:
    """Wire the tree runner; layers made from trees are remembered like any other result."""

    def recall(name: str) -> str | None:
        found = records.get(digest_json(["layer", name]))
        return found.layers[0] if isinstance(found, Snapshot) else None

    def record(name: str, layer: str) -> None:
        records.put([digest_json(["layer", name])], Snapshot((layer,)), "layer")

    return Trees(files, snapshots, layout.snapshots, recall=recall, record=record)


def _copier(files: Files) -> Callable[[Tree, Path], None]:
    def copy(tree: Tree, into: Path) -> None:
        export_tree(tree, files, into)

    return copy
