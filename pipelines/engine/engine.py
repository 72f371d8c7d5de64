"""The engine: what the API asks, and what answers the server's queries, for one session.

`opened(settings)` takes a lease on the store, has the parts put together (`assembly`), and
gives an `Engine`. Leaving it stops what is running, then releases the lease.
"""

import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from pipelines.engine import machines
from pipelines.engine.answers import Answers
from pipelines.engine.api import query
from pipelines.engine.api.session import Session
from pipelines.engine.caching import Cache, TravellingCache, VerifyingCache
from pipelines.engine.digest import Digest
from pipelines.engine.events import traced
from pipelines.engine.images.info import ImageInfo
from pipelines.engine.images.reference import Reference
from pipelines.engine.keeper import Keeper
from pipelines.engine.op import AnyService, Archive, Edge, Forward, Op, Select, Tunnel
from pipelines.engine.result import Result, Snapshot, output
from pipelines.engine.run.export import export_file, export_tree, remove_below
from pipelines.engine.run.names import destination
from pipelines.engine.run.outgoing import Host
from pipelines.engine.run.shown import Stack
from pipelines.engine.scrub import Hidden
from pipelines.engine.server import Answer, Request
from pipelines.engine.snapshots.stack import level_of
from pipelines.engine.solver import Cache as Solved
from pipelines.engine.solver import Solver
from pipelines.engine.store.layout import Layout, default_root
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.records import Records
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree import paths as treepath
from pipelines.engine.version import VERSION
from pipelines.engine.wiring.assembly import Parts, Settings, assemble
from pipelines.engine.wiring.world import World

if TYPE_CHECKING:
    from pipelines.engine.text.search import Hit, Search
    from pipelines.engine.travel.travel import Travel

__all__ = ["Engine", "opened"]

T = TypeVar("T")
DURABLE_EVERY = 30.0
SEARCHES = 64  # patterns whose finds are kept


class Engine:
    """What fields and the server ask of the engine; see `api.engine.Engine`."""

    version = VERSION

    def __init__(self, parts: Parts, settings: Settings, answers: Answers, lease: Lease) -> None:
        self.workdir = Path(settings.workdir).resolve()
        self.platform = machines.platform()
        self._parts = parts
        self._settings = settings
        self._answers = answers
        self._session = Session(self)
        self._pinned: dict[tuple[str, str], ImageInfo] = {}
        self._pinning: dict[tuple[str, str], anyio.Lock] = {}
        self._count = count()
        self._scratch = lease.path
        self.store = Keeper(
            parts.layout, lease, owners=settings.mode != "single", idle=lambda: answers.idle
        )

    @property
    def epoch(self) -> int | None:
        """The time of all that is written into images, or None."""
        from pipelines.engine.images.model import source_date_epoch

        return source_date_epoch(os.environ)

    @property
    def insecure(self) -> bool:
        """Whether commands may have every capability that the engine has."""
        return self._settings.insecure

    async def answer(self, request: Request) -> bytes:
        """Answer a query, attributed to the span that it came from."""
        return await _answer(self._session, request)

    def client(self) -> Answer:
        """Give what answers one more client: a command, which has objects of its own."""
        return partial(_answer, Session(self, nested=True))

    @property
    def group(self) -> int:
        """The process group of what the machine runs for the session."""
        return self._parts.world.group

    @property
    def hidden(self) -> Hidden:
        """The secrets that must not be in what the session says."""
        return self._parts.run.events.hidden

    @property
    def world(self) -> World:
        """What lies beyond this machine."""
        return self._parts.world

    def warning(self, text: str) -> None:
        """Tell the user of something that is no error."""
        self._parts.run.events.warning(text)

    async def solve(self, op: Op) -> Result:
        """Give an op's result."""
        await self.store.still()
        return await self._answers.solve(op)

    def mended(self) -> bool:
        """Hear that content is missing; True if asking again makes it here."""
        return self._answers.mended()

    def stop(self) -> None:
        """End soon: save nothing for other machines."""
        if self._parts.travel is not None:
            self._parts.travel.stop()

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
        await self._answers.bring(edge.op, picked)
        root = self._parts.layout.snapshots
        return await to_thread.run_sync(
            lambda: treepath.status(Stack(level_of(root, picked.layers)), path, follow=follow)
        )

    async def resolve_image(self, ref: str, platform: str) -> ImageInfo:
        """Pin a reference, once a session."""
        async with self._pinning.setdefault((ref, platform), anyio.Lock()):
            known = self._pinned.get((ref, platform))
            if known is None:
                known = await to_thread.run_sync(self._parts.resolver.resolve, ref, platform)
                self._pinned[ref, platform] = known
        return known

    async def pull_image(self, ref: str, platform: str, service: AnyService) -> ImageInfo:
        """Pull an image from a registry that is a service, all of it."""
        parsed = Reference.parse(ref)

        def pull(at: tuple[str, int] | None) -> ImageInfo:
            assert at is not None
            with self._parts.registries.at(parsed.host, at) as there:
                return there.pull(parsed, platform)

        async with self._registry_at(parsed, service) as at:
            return await to_thread.run_sync(pull, at)

    async def log_in(self, address: str, username: str, secret: Callable[[], bytes]) -> None:
        """Use a credential for a registry, for the rest of the session."""
        await to_thread.run_sync(self._parts.registries.log_in, address, username, secret)

    async def log_out(self, address: str) -> None:
        """Forget a credential that the session was given."""
        await to_thread.run_sync(self._parts.registries.log_out, address)

    async def import_image(self, edge: Edge, tag: str) -> ImageInfo:
        """Read the image out of an archive."""
        tree = await self.tree(edge)
        from pipelines.engine.images.archive import Archives

        archives = Archives(self._parts.images, self._parts.files)
        return await to_thread.run_sync(archives.load, tree, tag, self.platform)

    async def publish(self, op: Archive, address: str, service: AnyService | None) -> str:
        """Push what an archive would hold; never cached."""
        ref = destination("publish to", address)
        roots = await self._roots(op)
        ended = threading.Event()
        async with self._registry_at(ref, service) as at:
            try:
                return await to_thread.run_sync(
                    self._parts.outgoing.publish, op, roots, ref, at, ended, abandon_on_cancel=True
                )
            finally:
                ended.set()

    @asynccontextmanager
    async def _registry_at(
        self, ref: Reference, service: AnyService | None
    ) -> AsyncIterator[tuple[str, int] | None]:
        """Hold the service that a reference's registry is; give its address, or None."""
        if service is None:
            yield None
        else:
            async with self.reach(service, ref.port) as at:
                yield at

    async def export_image(self, op: Archive, name: str) -> None:
        """Write what an archive would hold to a layout or a runtime of the host."""
        roots = await self._roots(op)
        real = self._settings.mode == "root"
        host = Host(self.workdir, self.platform, os.environ, real)
        export = self._parts.outgoing.export
        await to_thread.run_sync(export, op, roots, name, host, abandon_on_cancel=True)

    async def _roots(self, op: Archive) -> list[Tree | Snapshot | None]:
        """Solve what is to be written; an image that nothing was done to is not even pulled."""
        whole = self._parts.outgoing.whole
        wanted = [edge for edge in op.inputs if not whole(edge)]
        found = iter(await self._answers.wholes(wanted))
        return [None if whole(edge) else next(found) for edge in op.inputs]

    async def start_service(self, service: AnyService) -> tuple[Forward, ...]:
        """Start a service and keep it."""
        return (await self._parts.links.services.start(service)).forwards

    async def stop_service(self, service: AnyService, kill: bool) -> None:
        """Stop a service."""
        await self._parts.links.services.stop(service, kill=kill)

    async def until_over(self, service: AnyService) -> None:
        """Wait for the end of a service."""
        await self._parts.links.services.until_over(service)

    def open_tunnel(self, tunnel: Tunnel) -> tuple[Forward, ...] | None:
        """Give the ports of an open tunnel."""
        live = self._parts.links.services.find(tunnel)
        return live.forwards if live is not None else None

    def reach(self, service: AnyService, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        """Hold a service and open a way to one of its ports."""
        return self._parts.links.serving.reach(service, port)

    def notice(self, text: str) -> None:
        """Tell people something."""
        self._parts.run.events.notice(text)

    async def blob(self, digest: str) -> bytes:
        """Give a blob whole."""
        name, travel = Digest(digest), self._parts.travel
        if travel is not None and not self._parts.blobs.has(name):
            await to_thread.run_sync(travel.blob, name)
        return await to_thread.run_sync(self._parts.blobs.get, name)

    async def read(self, entry: Entry, limit: int | None) -> bytes:
        """Give a file's bytes."""
        return await to_thread.run_sync(self._parts.files.read, entry, limit)

    async def reading(self, work: Callable[[Callable[[Entry], bytes]], T]) -> T:
        """Do work that reads the bytes of files, in a thread."""
        return await to_thread.run_sync(work, self._parts.files.read)

    async def search(self, tree: Tree, search: "Search") -> "Sequence[Hit]":
        """Look for text in a tree's files."""
        from pipelines.engine.run import searching
        from pipelines.engine.store.notes import Notes

        notes = Notes(self._parts.layout.root / "searches", SEARCHES)
        return await self.reading(lambda read: searching.search(tree, search, read, notes))

    async def saved_image(self, name: str) -> str:
        """Take an image out of the host's container engine, into an archive of the session's."""
        from pipelines.engine.images.saved import save

        into = self._scratch / f"saved-{next(self._count)}.tar"
        await save(name, into, os.environ)
        return str(into)

    async def export_changes(self, tree: Tree, gone: Sequence[str], path: str) -> str:
        """Write a tree into a host directory and remove paths there."""
        dest = self.workdir / path
        await to_thread.run_sync(remove_below, dest, gone)
        return await self.export_tree(tree, path, wipe=False)

    async def export_tree(self, tree: Tree, path: str, wipe: bool) -> str:
        """Write a tree into a host directory."""
        dest = self.workdir / path
        self._answers.coming(tree)
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


async def _answer(session: Session, request: Request) -> bytes:
    with traced(request.traceparent):
        return await query.answer(session, request.query, request.variables, request.operation)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Engine]:
    """Open the store and put an engine together for one session."""
    layout = Layout.open(default_root(os.environ))
    with ExitStack() as stack:
        ending: list[Engine] = []
        stack.callback(_collect, layout, settings, ending)
        lease = stack.enter_context(Lease.take(layout))
        parts = assemble(layout, lease, settings, os.environ, stack)
        cache = _cache(parts, settings)
        async with (
            _finished(parts.travel),
            parts.links.network.open(),
            parts.links.services.open(parts.links.serving),
            Solver(cache, parts.run, settings.jobs).open() as solver,
        ):
            answers = Answers(solver, parts.travel, parts.run.rootfs.run)
            if parts.travel is not None:
                parts.travel.definition = solver.definition
            engine = Engine(parts, settings, answers, lease)
            ending.append(engine)
            parts.seeds.solving(engine.tree)
            parts.links.nesting.answering(engine.client)
            parts.links.serving.solve = answers.whole
            async with anyio.create_task_group() as group:
                group.start_soon(_keep_durable, parts.records)
                try:
                    yield engine
                finally:
                    parts.registries.close()  # what waits for a registry ends now
                group.cancel_scope.cancel()


@asynccontextmanager
async def _finished(travel: "Travel | None") -> AsyncIterator[None]:
    """Let a session's travelling caches be saved once nothing runs any more."""
    try:
        yield
    finally:
        if travel is not None:
            with anyio.CancelScope(shield=True):
                await travel.finish()


def _cache(parts: Parts, settings: Settings) -> Solved:
    records, locks, travel = parts.records, parts.locks, parts.travel
    cache = TravellingCache(records, locks, travel) if travel else Cache(records, locks)
    if settings.trust == "use":
        return cache
    return VerifyingCache(cache, compare=settings.trust == "verify")


def _collect(layout: Layout, settings: Settings, ended: Sequence[Engine]) -> None:
    """Sweep: as the client asked to, or if it is time to."""
    if any(engine.store.finish() for engine in ended):
        return
    from pipelines.engine import upkeep

    upkeep.collect(layout, owners=settings.mode != "single")


async def _keep_durable(records: Records) -> None:
    """Now and then, write out what was recorded, so that it counts after a reboot.

    Not at the end of a session: a client waits for that, and what is lost is only time.
    """
    while True:
        await anyio.sleep(DURABLE_EVERY)
        await to_thread.run_sync(records.mark_durable, abandon_on_cancel=True)
