"""The solver: a suspending scheduler over constructive traces.

Theory of operation
    `solve(op)` answers with the op's result. In order:
    1. The *definition key* (the op over its inputs' definition keys) is looked up. A hit needs
       no input at all. It is sound only because every source was pinned before keying.
    2. The inputs are solved, concurrently.
    3. The *content key* (the op over its inputs' contents) is looked up. A hit here is early
       cutoff: something upstream was run again and came out equal.
    4. The op is executed (its costly part in one of the slots, `--jobs`), and its result
       recorded under both keys.

Rules
    1. One flight per op: concurrent calls for one op share one run (single-flight), in the
       process by the table of flights and across processes by `cache.locked(content key)`,
       after which the cache is asked again.
    2. Waiters are counted. The last to leave cancels the flight, and a flight leaves the
       table *before* it is cancelled, so that a new caller never joins a dying run.
    3. Failures are never recorded and never kept: the next call runs again.
    4. No slot and no lock is held while inputs are awaited.
    5. A record that names content which is gone is a miss: whoever finds out raises
       `ContentMissing`, and the input is built anew, once.

The solver does no I/O: the cache, the runner and the pinning of sources come in by
constructor, so that its tests need no container. Source for the shape: "Build Systems à la
Carte" (suspending scheduler × constructive traces with early cutoff).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.errors import Cancelled, ContentMissing
from pipelines.engine.op import Edge, Op, key
from pipelines.engine.result import Result, content
from pipelines.engine.tree import Tree

__all__ = ["Cache", "Runner", "Slot", "Solver"]


class Cache(Protocol):
    """Where records live."""

    def get(self, key: Digest) -> Result | None:
        """Look a key up; whatever is missing or damaged is a miss."""
        ...

    def put(
        self, keys: Sequence[Digest], result: Result, note: str = "", seconds: float = 0.0
    ) -> None:
        """Record a result whose content is in place."""
        ...

    def forget(self, key: Digest) -> None:
        """Drop a record."""
        ...

    def locked(self, key: Digest) -> AbstractAsyncContextManager[None]:
        """Keep every other process from executing this key meanwhile."""
        ...


Slot = anyio.Semaphore


class Runner(Protocol):
    """What executes ops."""

    async def pin(self, op: Op) -> Tree:
        """Look at the world for a source that is not pinned."""
        ...

    async def before(self, op: Op) -> None:
        """Make ready what is no input of the op, before a slot is taken (volume seeds)."""
        ...

    async def run(self, op: Op, inputs: Sequence[Result], slot: Slot) -> Result:
        """Execute an op over its inputs' results, its costly part inside `slot`."""
        ...

    def hit(self, op: Op) -> None:
        """Hear that a record answered for an op."""
        ...


@dataclass(slots=True)
class _Flight:
    """One run of one op and those who wait for it."""

    waiters: int = 0
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    result: Result | None = None
    error: BaseException | None = None


def _cheap(op: Op, inputs: Sequence[Result]) -> bool:
    """Tell whether an op only turns trees into a tree: quicker to redo than to look up.

    Such a result must not be recorded either: its files may still be on the host only.
    """
    return bool(inputs) and not op.slotted and all(isinstance(r, Tree) for r in inputs)


class Solver:
    """Solves ops for one session; see the rules above."""

    def __init__(self, cache: Cache, runner: Runner, jobs: int) -> None:
        self._cache = cache
        self._runner = runner
        self._slots = anyio.Semaphore(jobs)
        self._flights: dict[Digest, _Flight] = {}
        self._definitions: dict[Digest, Digest] = {}
        self._solved: dict[Digest, Result] = {}
        self._sources: set[Digest] = set()
        self._busy: dict[Digest, anyio.Lock] = {}
        self._group: TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Solver"]:
        """Own the flights for the length of a session; leaving cancels what is in the air."""
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield self
            finally:
                self._group = None
                group.cancel_scope.cancel()

    async def solve(self, op: Op) -> Result:
        """Answer with the result of an op."""
        if (known := self._solved.get(op.digest)) is not None:
            return known
        flight = self._flights.get(op.digest)
        if flight is None:
            flight = self._take_off(op)
        flight.waiters += 1
        try:
            await flight.done.wait()
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.done.is_set():
                self._leave(op, flight)
                flight.scope.cancel()
        if flight.error is not None:
            raise flight.error
        assert flight.result is not None
        return flight.result

    @property
    def idle(self) -> bool:
        """Whether nothing was solved yet: no result is held on to."""
        return not (self._flights or self._solved or self._definitions)

    def definition(self, op: Op) -> Digest | None:
        """Give the definition key of an op if it is known: it is of all below what was solved."""
        return self._definitions.get(op.digest)

    def forget(self) -> None:
        """Forget what was solved, but for sources: they are read once a session."""
        pinned = {d: r for d, r in self._solved.items() if d in self._sources}
        self._solved = pinned

    async def rebuild(self, op: Op) -> Result:
        """Solve an op again whose recorded result proved to be incomplete."""
        self._solved.pop(op.digest, None)
        if not op.pinned:
            self._definitions.pop(op.digest, None)
        self._cache.forget(await self._define(op))
        result = await self._build(op, fresh=True)
        self._solved[op.digest] = result
        return result

    def _take_off(self, op: Op) -> _Flight:
        if self._group is None:
            raise Cancelled("the session is ending")
        flight = self._flights[op.digest] = _Flight()
        self._group.start_soon(self._fly, op, flight)
        return flight

    def _leave(self, op: Op, flight: _Flight) -> None:
        if self._flights.get(op.digest) is flight:
            del self._flights[op.digest]

    async def _fly(self, op: Op, flight: _Flight) -> None:
        try:
            with flight.scope:
                flight.result = await self._build(op)
                self._solved[op.digest] = flight.result
        except Exception as error:  # noqa: BLE001 - handed to every waiter, none is lost
            flight.error = error
        finally:
            if flight.result is None and flight.error is None:
                flight.error = Cancelled("cancelled: nobody waits for it any more")
            self._leave(op, flight)
            flight.done.set()

    async def _build(self, op: Op, *, fresh: bool = False) -> Result:
        definition = await self._define(op)
        if not op.pinned:
            return self._solved[op.digest]
        if op.recorded and not fresh and (found := self._look_up(op, definition)) is not None:
            return found
        inputs = await self.solve_all(op.inputs)
        if not op.recorded or _cheap(op, inputs):
            return await self._run(op, inputs)
        contents = key(op, [content(r, e.output) for r, e in zip(inputs, op.inputs, strict=True)])
        if not fresh and (found := self._look_up(op, contents)) is not None:
            self._cache.put([definition], found, op.label)
            return found
        return await self._execute(op, inputs, (definition, contents), fresh=fresh)

    async def _execute(
        self, op: Op, inputs: Sequence[Result], keys: tuple[Digest, Digest], *, fresh: bool
    ) -> Result:
        await self._runner.before(op)
        async with self._alone(keys[1]), self._cache.locked(keys[1]):
            if not fresh and (found := self._look_up(op, keys[1])) is not None:
                self._cache.put(keys[:1], found, op.label)
                return found
            began = anyio.current_time()
            result = await self._run(op, inputs)
            self._cache.put(keys, result, op.label, anyio.current_time() - began)
            return result

    async def _run(self, op: Op, inputs: Sequence[Result]) -> Result:
        try:
            return await self._runner.run(op, inputs, self._slots)
        except ContentMissing:
            again = [await self.rebuild(edge.op) for edge in op.inputs]
            return await self._runner.run(op, again, self._slots)

    def _look_up(self, op: Op, name: Digest) -> Result | None:
        found = self._cache.get(name)
        if found is not None:
            self._runner.hit(op)
        return found

    @asynccontextmanager
    async def _alone(self, name: Digest) -> AsyncIterator[None]:
        """Let one holder of a name through at a time, in this process."""
        lock = self._busy.setdefault(name, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            # Releasing hands a lock to the next waiter: one that is held has to stay known.
            if not lock.locked() and self._busy.get(name) is lock:
                del self._busy[name]

    async def solve_all(self, edges: Sequence[Edge]) -> list[Result]:
        """Give the results of several ops, solved at once; the first error counts."""
        if len(edges) == 1:
            return [await self.solve(edges[0].op)]
        results: list[Result | None] = [None] * len(edges)
        errors: list[Exception] = []

        async def put(at: int, op: Op) -> None:
            try:
                results[at] = await self.solve(op)
            except Exception as error:  # noqa: BLE001 - re-raised below, first one wins
                errors.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for at, edge in enumerate(edges):
                group.start_soon(put, at, edge.op)
        if errors:
            raise errors[0]
        return [result for result in results if result is not None]

    async def _define(self, op: Op) -> Digest:
        """Compute the definition key; sources are pinned on the way, each once a session."""
        known = self._definitions
        stack = [op]
        while stack:
            at = stack[-1]
            if at.digest in known:
                stack.pop()
            elif not at.pinned:
                await self._pin(at)
            elif missing := [e.op for e in at.inputs if e.op.digest not in known]:
                stack.extend(missing)
            else:
                known[at.digest] = key(at, [known[e.op.digest] for e in at.inputs])
        return known[op.digest]

    async def _pin(self, op: Op) -> None:
        async with self._alone(op.digest):
            if op.digest not in self._definitions:
                tree = await self._runner.pin(op)
                self._solved[op.digest] = tree
                self._sources.add(op.digest)
                self._definitions[op.digest] = digest_json(["pinned", tree.digest])
