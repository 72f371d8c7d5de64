"""What travels in one session, and when.

Theory of operation
    *Start.* The head and manifest of the project's results are read beside the session, from the
    moment that it opens. The first solve waits for them, within the budget.

    *Results.* A key that the store does not know is looked up among the records of that
    generation. What a record names stays where it is until somebody reads it: layers when
    something runs on them or looks into them, files when they are exported or mounted.
    `bring` is called before every run; files and blobs are fetched by whoever finds them missing.
    Layers of images do not travel: an image is had from where images come from.

    *Volumes* are restored when a command that really runs mounts one that is not there.

    *End.* What this session asked for and made, and the volumes that its commands mounted, are
    saved once nothing runs any more, within the budget. A session that a signal ends saves nothing.

    *Failure.* What can not be had is a miss, told once. For results that shows late, when somebody
    needs content: then no record of another machine is believed any more (`abandon`), what was
    solved is forgotten, and the question is asked again (`Engine.mended`).
"""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from anyio import create_task_group, to_thread

from pipelines.caches.backend import AT_ONCE, Backend, Unusable
from pipelines.caches.settings import Settings
from pipelines.caches.shares import Shares
from pipelines.caches.signals import Rules
from pipelines.engine.digest import Digest
from pipelines.engine.errors import Cancelled, ContentMissing, StoreFull
from pipelines.engine.events import Events
from pipelines.engine.op import Op, Rootfs
from pipelines.engine.result import Result, Snapshot, output
from pipelines.engine.travel import times
from pipelines.engine.travel.account import Account
from pipelines.engine.travel.aside import Aside, awaited
from pipelines.engine.travel.fetching import Fetching, ended
from pipelines.engine.travel.index import Index
from pipelines.engine.travel.portraits import Portraits
from pipelines.engine.travel.saving import Saving
from pipelines.engine.travel.stores import Stores
from pipelines.engine.travel.times import Times
from pipelines.engine.travel.volumes import Save, Travelling
from pipelines.engine.tree import Tree

__all__ = ["Travel"]

SLACK = 2.0  # seconds beyond the budget until a task that does not end is left alone


class Travel:
    """The travelling caches of one session; all of it may be called from any thread."""

    def __init__(  # noqa: PLR0917 - the parts of a session
        self,
        settings: Settings,
        rules: Rules,
        opening: Callable[[], Awaitable[Backend]],
        stores: Stores,
        account: Account,
        events: Events,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._opening = opening
        self._events = events
        self._aside = Aside()
        self._lock = threading.Lock()
        self._warned = False
        self._waited = 0.0
        self._received = self._requests = 0
        self._stopped = False
        self._backend: Future[Backend] | None = None
        self._loading: Future[None] | None = None
        self._fetching = Fetching(stores, self._aside, self._restore)
        self.index = Index(stores, self._fetching)
        self.account = account
        self.definition: Callable[[Op], Digest | None] = lambda _: None
        self.volumes = Travelling(
            settings, stores, self._reached, self._aside, account, self._tell, self.warn
        )
        self.times = Times(stores.files)
        self.portraits = Portraits(stores.portraits, self.index.records)
        self._scratch = stores.scratch
        self._files = stores.files
        self._saving = Saving(settings, stores, self.index, self.volumes, self.times)
        self._saving.portraits = self.portraits

    # --- start -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to read what other machines have made; returns at once."""
        self._backend = self._aside.start(self._opening)
        if self._settings.results and self._settings.restores:
            self._loading = loading = self._aside.start(self._load)
            self.times.coming(self._aside.start(self._load_times, loading))

    def hit(self, op: Op) -> None:
        """Hear that a record answered for an op: what is below it need not run either."""
        self.index.spare(op, self.definition)

    async def ready(self) -> None:
        """Wait until it is known what other machines have made."""
        if self._loading is not None:
            began = time.monotonic()
            await awaited(self._loading, self._settings.budget + SLACK)
            self._waited += time.monotonic() - began
            self._loading = None

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            backend = await self._reached()
            found = await backend.newest(self._results)
        except Unusable as exc:
            self.warn(str(exc))
            return
        self.index.load(found)
        if found is not None:
            self._tell(
                "loaded", "results", seconds=time.monotonic() - began, records=len(found.records)
            )

    async def _load_times(self, loading: "Future[None]") -> bytes:
        await to_thread.run_sync(loading.result)
        found = self.index.generation
        if found is None or times.NAME not in found.trees:
            return b""
        place = self._scratch / "travel-times"
        place.mkdir(mode=0o700)
        with suppress(ContentMissing, OSError):
            await self._restore(times.NAME, place)
            return await to_thread.run_sync((place / times.NAME).read_bytes)
        return b""

    @property
    def _results(self) -> str:
        return f"results/{self._settings.project}"

    async def _reached(self) -> Backend:
        """Give the backend, once it is open; called beside the session only.

        Raises:
            Unusable: it can not be opened.
        """
        assert self._backend is not None
        opened = self._backend
        return await to_thread.run_sync(opened.result)

    # --- results ---------------------------------------------------------------------------

    async def bring(
        self, op: Op, inputs: Sequence[Result], images: Callable[[Rootfs], object]
    ) -> None:
        """Fetch the layers that running an op over its inputs reads.

        `images` makes the layers of an image; it blocks.

        Raises:
            ContentMissing: they did not come: the inputs are to be made here.
        """
        picked = [output(r, e.output) for r, e in zip(inputs, op.inputs, strict=True)]
        await self.stacks(op, picked, images)

    async def stacks(
        self, op: Op, values: Sequence[Tree | Snapshot], images: Callable[[Rootfs], object]
    ) -> None:
        """Fetch the layers of snapshots that come of an op, or are its inputs.

        Raises:
            ContentMissing: they did not come.
        """
        layers = [x for value in values if isinstance(value, Snapshot) for x in value.layers]
        away = self.index.away(layers)
        if not away:
            return
        flights = self._fetching.layers(x for x in away if self.index.offers(x))
        for rootfs in _images(op) if len(flights) < len(away) else ():
            await to_thread.run_sync(images, rootfs)
        await to_thread.run_sync(self._arrived, flights)

    def content(self, content: str) -> bool:
        """Fetch the files that came with a content (hex); blocks. False if nobody offers it."""
        tree = self.index.tree_with(content)
        if tree is None:
            return False
        self._arrived([self._fetching.files(tree)])
        return True

    def coming(self, tree: Tree) -> None:
        """Begin to fetch all files of a tree at once; whoever needs one waits for its own."""
        if self.index.generation is None:
            return
        away = (e for e in tree.values() if e.kind == "file" and not self._files.has(e))
        for name in {self.index.tree_with(entry.content) for entry in away}:
            if name is not None:
                self._fetching.files(name)

    def blob(self, digest: Digest) -> bool:
        """Fetch a blob; blocks. False if nobody offers it."""
        if not self.index.offers_blob(digest):
            return False
        self._arrived([self._fetching.blob(digest)])
        return True

    def abandon(self) -> bool:
        """Believe no record of another machine any more; False if none was believed before."""
        return self.index.abandon()

    def _arrived(self, flights: Sequence["Future[None]"]) -> None:
        try:
            ended(flights)
        except ContentMissing as exc:
            self.abandon()
            self.warn(str(exc))
            raise

    async def _restore(self, name: str, into: Path) -> None:
        """Restore a tree of the results, beside the session."""
        found = self.index.generation
        if found is None:
            raise ContentMissing(f"{name} is not in the travelling cache")
        backend = await self._reached()
        try:
            got = await backend.restore(found, name, into, exact=True)
        except Unusable as exc:
            raise ContentMissing(str(exc)) from exc
        with self._lock:
            self._received += got.bytes
            self._requests += got.requests
        self._tell("fetched", "results", bytes=got.bytes, seconds=got.seconds, what=name)

    # --- end -------------------------------------------------------------------------------

    def stop(self) -> None:
        """Save nothing: the session is to end now."""
        self._stopped = True

    async def finish(self) -> None:
        """Save what is new, tell what came of it all, close. Bounded by the budget."""
        if not self._stopped and self._settings.saves:
            budget = self._settings.budget
            self._tell("saving", "", budget=budget)
            with suppress(Cancelled):
                saving = self._aside.start(self._save)
                await awaited(saving, budget + SLACK)
                if not saving.done():
                    self.warn(
                        f"saving takes longer than the budget of {budget:g} s; the rest is left"
                    )
        self._conclude()
        await to_thread.run_sync(self._aside.close)

    def _conclude(self) -> None:
        """Tell what came of it, and write it down."""
        for state, fields in self.index.told():
            self._tell(state, "results", **fields)
        if self.index.hits:
            self.account.note(
                "results",
                "hit",
                seconds=self._waited,
                saved=self.index.spared,
                size=self._received,
                requests=self._requests,
            )
        with suppress(StoreFull):
            self.index.keep()
        self.volumes.noted()
        self.account.close()

    async def _save(self) -> None:
        try:
            backend = await self._reached()
        except Unusable as exc:
            self.warn(str(exc))
            return
        if not backend.writes:
            self._tell("unsaved", "", why=self._rules.why)
            return
        jobs, shares = self._saving.jobs(backend, self._results), Shares()
        async with create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(self._save_some, jobs, shares)

    async def _save_some(self, jobs: Iterator[tuple[str, Save]], shares: Shares) -> None:
        """Save one after the other, in their order, as others do beside."""
        for cache, save in jobs:
            saved, begun = None, object()
            shares.started(begun)
            try:
                saved = await save()
            except Unusable as exc:
                self.warn(str(exc))
            spent = shares.ended(begun)
            if saved is not None:
                self._tell("saved", cache, bytes=saved.bytes, files=saved.files, seconds=spent)
                self.account.note(cache, "saved", size=saved.bytes, seconds=spent)

    # --- telling ---------------------------------------------------------------------------

    def warn(self, text: str) -> None:
        """Say once that the cache gives nothing; the run goes on without it."""
        with self._lock:
            known, self._warned = self._warned, True
        self._tell("failed", "", why=text)
        if not known:
            self._events.warning(f"the travelling cache is left out: {text}")

    def _tell(self, state: str, cache: str, **fields: object) -> None:
        self._events.cache(state, cache, **fields)


def _images(op: Op) -> Iterator[Rootfs]:
    """Yield the images below an op."""
    waiting, seen = [op], set()
    while waiting:
        at = waiting.pop()
        if at.digest in seen:
            continue
        seen.add(at.digest)
        if isinstance(at, Rootfs):
            yield at
        waiting += [edge.op for edge in at.inputs]
