"""A fault at every request and every write of a run's caches: a miss, in time, and nothing lost.

By default every other request meets one kind of fault, in turn; with `PIPELINES_TEST_FAULTS=all`
each meets every kind. A run: find, restore, save, publish, as the engine does.
"""

import os
import time
from dataclasses import replace

import anyio
import pytest

from pipelines.caches import generation
from pipelines.caches.budget import Budget
from pipelines.caches.errors import CacheError
from pipelines.caches.heads import Heads
from pipelines.caches.merging import unite
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from pipelines.caches.transports.directory import DirectoryTransport
from tests.caches.backends import KINDS, Backend, serving
from tests.caches.transports.faulty import (
    DIRECTORY_FAULTS,
    HTTP_FAULTS,
    FaultyFiles,
    Proxy,
    proxy,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEY = "volume/ab/go-build"
OLD = {"kept": b"old" * 50_000}
NEW = {"kept": b"old" * 50_000, "more": b"new" * 50_000}
BUDGET = 1.5
MOST = 60  # requests of a run, and more
SLACK = 6.0  # for a machine that does other things: what is held is that nothing hangs


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module", params=KINDS)
def place(request, tmp_path_factory):
    """Give the backend, how to open it with faults, and what arms them."""
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as servers:
        backend = servers.give()
        if request.param == "directory":
            state = Proxy(0)
            yield backend, lambda: faulty_directory(backend, state), state
            state.over.set()
            return
        with proxy(servers.server.port) as (state, port):
            url = backend.url.replace(f":{servers.server.port}", f":{port}")
            through = replace(backend, url=url)
            yield backend, through.open, state


def faulty_directory(backend: Backend, state: Proxy) -> DirectoryTransport:
    root = str(backend.directory)
    return DirectoryTransport(root, FaultyFiles(root, state))


async def run(transport, root, budget):
    """Restore what is there and save `NEW`; give what was restored and whether it was published."""
    restored, published, base = None, False, None
    heads = Heads(transport, ("trusted",), "trusted")

    async def fetch():
        nonlocal base
        found = await heads.find(KEY)
        if found is not None:
            base = await generation.load(transport, found.generation)
            (root / "into").mkdir()
            await restore(transport, base, "", root / "into")
            return {path.name: path.read_bytes() for path in (root / "into").iterdir()}
        return None

    async def keep():
        mine, _ = await save(transport, base, {"": root / "new"}, kind="build")

        async def merge(theirs):
            nonlocal mine
            mine = await unite(transport, mine, theirs)
            return mine

        await heads.publish(KEY, mine, merge)

    try:
        restored = await budget.bounded("restoring", fetch)
    except CacheError:
        base = None
    try:
        await budget.bounded("saving", keep)
        published = True
    except CacheError:
        pass
    return restored, published


async def prepare(backend, root):
    """Empty the backend, save `OLD` there."""
    transport = backend.open()
    for name in [item.name async for item in transport.list("")]:
        await transport.delete(name)
    for name, files in (("old", OLD), ("new", NEW)):
        (root / name).mkdir(parents=True)
        for path, content in files.items():
            (root / name / path).write_bytes(content)
    made, _ = await save(transport, None, {"": root / "old"}, kind="build")
    await Heads(transport, ("trusted",), "trusted").publish(KEY, made, None)
    await transport.aclose()


async def look(backend, root):
    """Restore without faults."""
    transport = backend.open()
    found = await Heads(transport, ("trusted",), None).find(KEY)
    made = await generation.load(transport, found.generation)
    (root / "look").mkdir()
    await restore(transport, made, "", root / "look")
    await transport.aclose()
    return {path.name: path.read_bytes() for path in (root / "look").iterdir()}


async def once(place, root, at, fault, *, dead=False):
    """A run with one fault; give whether it was met, or might have been on a faster machine."""
    backend, opened, state = place
    state.arm(-1, "")
    await prepare(backend, root)
    state.arm(at, fault, dead=dead)
    transport = opened()
    began = time.monotonic()
    restored, published = await run(transport, root, Budget(BUDGET))
    took = time.monotonic() - began
    met = state.count > at or not published
    state.arm(-1, "")
    with anyio.move_on_after(2):
        await transport.aclose()
    where = f"{fault} at request {at}"
    assert restored is None or restored == OLD, where
    assert took < BUDGET + SLACK, where
    left = await look(backend, root)
    assert left in ((NEW,) if published else (OLD, NEW)), where
    return met


async def test_a_fault_at_any_request_is_a_miss_in_time(place, tmp_path):
    faults = DIRECTORY_FAULTS if place[0].kind == "directory" else HTTP_FAULTS
    every = os.environ.get("PIPELINES_TEST_FAULTS") == "all"
    at, met = 0, True
    while met and at < MOST:
        for fault in faults if every else [faults[at % len(faults)]]:
            met = await once(place, tmp_path / f"{at}-{fault}", at, fault)
        at += 1 if every else 2
    assert 8 < at < MOST


async def test_a_backend_that_dies_costs_no_more_than_the_budget(place, tmp_path):
    fault = "broken" if place[0].kind == "directory" else "close"
    for at in (0, 4):
        for kind in (fault, "hang"):
            assert await once(place, tmp_path / f"{at}-{kind}", at, kind, dead=True)
