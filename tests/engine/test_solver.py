"""The solver's promises, over a fake runner and a fake cache: no container is needed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing, SourceError
from pipelines.engine.op import DirMount, Edge, Empty, Exec, HostTree, Link, Op
from pipelines.engine.result import Result
from pipelines.engine.solver import Slot, Solver
from pipelines.engine.tree import Entry, Tree

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


class Records(dict[Digest, Result]):
    """A cache in a dictionary."""

    def put(self, keys, result, note="", seconds=0.0):
        for name in keys:
            self[name] = result

    def forget(self, key):
        self.pop(key, None)

    @asynccontextmanager
    async def locked(self, key: Digest) -> AsyncIterator[None]:
        yield


@dataclass
class Fake:
    """A runner that counts; an op's result is a tree that depends on its field and inputs."""

    host: str = "v1"
    ran: list[str] = field(default_factory=list)
    cancelled: int = 0
    pins: int = 0
    fail: int = 0
    gate: anyio.Event | None = None
    constant: frozenset[str] = frozenset()
    broken: set[str] = field(default_factory=set)

    async def pin(self, op: Op) -> Tree:
        self.pins += 1
        await anyio.lowlevel.checkpoint()
        return Tree({"f": Entry("file", 0o644, 1, self.host)})

    async def before(self, op: Op) -> None: ...

    def hit(self, op: Op) -> None: ...

    async def run(self, op: Op, inputs: Sequence[Result], slot: Slot) -> Result:
        if not op.slotted:
            return await self._run(op, inputs)
        async with slot:
            return await self._run(op, inputs)

    async def _run(self, op: Op, inputs: Sequence[Result]) -> Result:
        name = op.args[0] if isinstance(op, Exec) else type(op).__name__
        self.ran.append(name)
        if any(i.digest in self.broken for i in inputs if isinstance(i, Tree)):
            raise ContentMissing("gone")
        try:
            if self.gate is not None:
                await self.gate.wait()
            else:
                await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if self.fail:
            self.fail -= 1
            raise SourceError("no")
        below = [] if name in self.constant else [i.digest for i in inputs]
        return Tree({name: Entry("file", 0o644, 1, repr(below))})


def node(name: str, *below: Op) -> Op:
    """Make a recorded op over up to two inputs."""
    mounts = tuple(DirMount(f"/{n}", Edge(op)) for n, op in enumerate(below))
    return Exec(Edge(Empty()), (name,), (), "/", "", "linux/amd64", mounts)


@asynccontextmanager
async def solving(runner: Fake, cache: Records | None = None, jobs: int = 2):
    async with Solver(Records() if cache is None else cache, runner, jobs).open() as solver:
        yield solver


async def test_fifty_concurrent_solves_execute_once():
    runner = Fake()
    async with solving(runner) as solver, anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(solver.solve, node("a"))
    assert runner.ran.count("a") == 1


async def test_a_second_session_executes_nothing():
    cache, runner = Records(), Fake()
    for _ in range(2):
        async with solving(runner, cache) as solver:
            await solver.solve(node("b", node("a")))
    assert [n for n in runner.ran if n in "ab"] == ["a", "b"]


async def test_a_definition_hit_needs_no_input():
    cache, runner = Records(), Fake()
    async with solving(runner, cache) as solver:
        await solver.solve(node("b", node("a")))
    runner.ran.clear()
    async with solving(runner, cache) as solver:
        await solver.solve(node("b", node("a")))
    assert runner.ran == []


async def test_equal_content_of_an_input_stops_the_rebuild():
    cache, runner = Records(), Fake(constant=frozenset({"a"}))
    op = node("c", node("b", node("a", HostTree("/x"))))
    async with solving(runner, cache) as solver:
        await solver.solve(op)
    runner.ran.clear()
    runner.host = "v2"
    async with solving(runner, cache) as solver:
        await solver.solve(op)
    assert [name for name in runner.ran if name != "Empty"] == ["a"]


async def test_a_changed_source_runs_what_reads_it_again():
    cache, runner = Records(), Fake()
    op = node("b", node("a", HostTree("/x")))
    async with solving(runner, cache) as solver:
        first = await solver.solve(op)
    runner.host = "v2"
    async with solving(runner, cache) as solver:
        assert await solver.solve(op) != first


async def test_a_source_is_pinned_once_a_session():
    runner = Fake()
    source = HostTree("/x")
    async with solving(runner) as solver, anyio.create_task_group() as group:
        for name in "abcdefgh":
            group.start_soon(solver.solve, node(name, source))
    assert runner.pins == 1


async def test_cancelling_one_waiter_leaves_the_other():
    runner = Fake(gate=anyio.Event())
    results = []
    async with solving(runner) as solver, anyio.create_task_group() as group:

        async def wait():
            results.append(await solver.solve(node("a")))

        group.start_soon(wait)
        async with anyio.create_task_group() as doomed:
            doomed.start_soon(solver.solve, node("a"))
            await anyio.wait_all_tasks_blocked()
            doomed.cancel_scope.cancel()
        runner.gate.set()
    assert len(results) == 1
    assert runner.cancelled == 0


async def test_cancelling_the_last_waiter_cancels_the_run_and_the_next_runs_again():
    runner = Fake(gate=anyio.Event())
    async with solving(runner) as solver:
        async with anyio.create_task_group() as doomed:
            doomed.start_soon(solver.solve, node("a"))
            await anyio.wait_all_tasks_blocked()
            doomed.cancel_scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert runner.cancelled == 1
        runner.gate.set()
        await solver.solve(node("a"))


async def test_an_error_reaches_every_waiter_and_is_not_kept():
    runner = Fake(fail=1)
    seen = []
    async with solving(runner) as solver:

        async def attempt():
            try:
                await solver.solve(node("a"))
            except SourceError as error:
                seen.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(attempt)
            group.start_soon(attempt)
        await solver.solve(node("a"))
    assert len(seen) == 2


async def test_the_first_failing_input_is_the_error_not_a_group():
    runner = Fake(fail=1)
    async with solving(runner) as solver:
        with pytest.raises(SourceError):
            await solver.solve(node("c", node("a"), node("b")))


async def test_a_name_handed_to_a_waiter_stays_taken():
    inside: list[str] = []
    gates = {who: anyio.Event() for who in "abc"}
    async with solving(Fake()) as solver, anyio.create_task_group() as group:

        async def enter(who):
            async with solver._alone(Empty().digest):
                inside.append(who)
                await gates[who].wait()
                inside.remove(who)

        for who in "ab":
            group.start_soon(enter, who)
            await anyio.wait_all_tasks_blocked()
        gates["a"].set()
        await anyio.wait_all_tasks_blocked()
        group.start_soon(enter, "c")
        await anyio.wait_all_tasks_blocked()
        assert inside == ["b"]
        gates["b"].set()
        gates["c"].set()
    assert solver._busy == {}


async def test_one_slot_does_not_deadlock_a_deep_graph():
    runner = Fake()
    root = Edge(Empty())
    for n in range(40):
        root = Edge(Exec(root, (str(n),), (), "/", "", "linux/amd64"))
    async with solving(runner, jobs=1) as solver:
        with anyio.fail_after(10):
            await solver.solve(root.op)
    assert len(runner.ran) == 41


async def test_a_chain_of_a_thousand_ops_is_solved():
    op: Op = Empty()
    for n in range(1000):
        op = Link(Edge(op), f"p{n}", "t")
    runner = Fake()
    async with solving(runner) as solver:
        await solver.solve(op)
    assert len(runner.ran) == 1001


async def test_missing_content_behind_a_record_is_built_again():
    cache, runner = Records(), Fake()
    async with solving(runner, cache) as solver:
        gone = await solver.solve(node("a"))
    assert isinstance(gone, Tree)
    cache_before = dict(cache)

    class Healing(Fake):
        async def run(self, op, inputs, slot):
            if op.digest == node("a").digest:
                self.broken.clear()
            return await super().run(op, inputs, slot)

    healing = Healing(broken={gone.digest})
    async with solving(healing, Records(cache_before)) as solver:
        await solver.solve(node("b", node("a")))
    assert healing.ran.count("a") == 1


async def test_two_ops_with_equal_content_keys_execute_once():
    runner = Fake(constant=frozenset({"a", "b"}))
    runner.constant = frozenset({"same"})
    left, right = node("same", HostTree("/x")), node("same", HostTree("/y"))
    async with solving(runner) as solver, anyio.create_task_group() as group:
        group.start_soon(solver.solve, node("top", left))
        group.start_soon(solver.solve, node("top", right))
    assert runner.ran.count("same") == 1
    assert runner.ran.count("top") == 1


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=10),
    st.integers(0, 3),
)
@settings(deadline=None)
async def test_any_graph_gives_what_plain_recursion_gives(edges, edits):
    def graph() -> list[Op]:
        ops: list[Op] = [HostTree("/x")]
        for n, (left, right) in enumerate(edges):
            ops.append(node(f"n{n}", ops[left % len(ops)], ops[right % len(ops)]))
        return ops

    cache = Records()
    for edit in range(edits + 1):
        runner = Fake(host=f"v{edit}")
        async with solving(runner, cache) as solver:
            cached = [await solver.solve(op) for op in graph()]
        async with solving(Fake(host=f"v{edit}")) as plain:
            expected = [await plain.solve(op) for op in graph()]
        assert [dict(c) for c in cached] == [dict(e) for e in expected]
