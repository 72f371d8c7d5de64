"""Restores that are weighed: done if they win, left out or given up if they lose."""

import os

import anyio
import pytest

from pipelines.caches.metered import Metered
from pipelines.caches.policy import SURE, Link, learn
from pipelines.caches.saving import save
from pipelines.caches.weighing import offer, weighed
from tests.caches.memory import Memory

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def cache(tmp_path):
    top = tmp_path / "cache"
    top.mkdir()
    (top / "object").write_bytes(os.urandom(300_000))
    (top / "small").write_text("x")
    return top


@pytest.fixture
def into(tmp_path):
    path = tmp_path / "into"
    path.mkdir()
    return path


async def saved(cache, cold):
    memory = Memory()
    generation, _ = await save(
        memory, None, {"": cache}, kind="build", meta=learn({}, cold, restored=False)
    )
    return memory, generation


async def test_an_offer_is_what_the_manifest_says(cache):
    _, generation = await saved(cache, cold=12.5)
    offered = offer(generation)
    assert offered.content == 300_001
    assert 300_000 <= offered.size < 310_000
    assert offered.worth == 12.5
    assert offered.requests == 1


async def test_what_is_worth_it_is_restored(cache, into):
    memory, generation = await saved(cache, cold=60.0)
    found = await weighed(Metered(memory), generation, into)
    assert found.did == "restored"
    assert found.done.files == 2
    assert (into / "small").read_text() == "x"


@pytest.mark.parametrize(("mode", "cold"), [("auto", 0.0), ("never", 60.0)])
async def test_what_is_not_is_left_out_and_nothing_is_read(cache, into, mode, cold):
    memory, generation = await saved(cache, cold)
    transport = Metered(memory)
    found = await weighed(transport, generation, into, mode=mode)
    assert (found.did, found.done) == ("skipped", None)
    assert transport.meter.requests == 0
    assert os.listdir(into) == []


async def test_a_link_that_is_known_to_be_slow_is_not_tried(cache, into):
    memory, generation = await saved(cache, cold=1.0)
    found = await weighed(Metered(memory), generation, into, known=Link(0.01, 1000.0, SURE))
    assert found.did == "skipped"
    assert "would be lost" in found.why


class Hanging(Memory):
    async def read(self, name, start=0, length=None):
        if name.startswith("packs/"):
            await anyio.sleep_forever()
        return await super().read(name, start, length)


async def test_a_restore_that_hangs_is_given_up_and_leaves_nothing(cache, into):
    hanging = Hanging()
    generation, _ = await save(
        hanging, None, {"": cache}, kind="build", meta=learn({}, 2.0, restored=False)
    )
    with anyio.fail_after(10):
        found = await weighed(Metered(hanging), generation, into)
    assert found.did == "gave up"
    assert "the work takes 2.0 s" in found.why
    assert os.listdir(into) == []


async def test_always_is_always(cache, into):
    memory, generation = await saved(cache, cold=0.0)
    assert (await weighed(Metered(memory), generation, into, mode="always")).did == "restored"
