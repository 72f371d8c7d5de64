"""Volumes that are brought: found, weighed, restored."""

import pytest

from pipelines.caches.backend import Backend
from pipelines.caches.bringing import bring
from pipelines.caches.budget import Budget
from pipelines.caches.heads import Heads
from pipelines.caches.policy import SURE, Link
from pipelines.caches.saving import save
from pipelines.caches.settings import Settings
from tests.caches.memory import Memory
from tests.caches.trees import fill

pytestmark = pytest.mark.anyio
FAST = Link(0.0, 1e9, SURE)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def backend(tmp_path):
    """Give a backend with a volume of 60 MB whose work takes a second."""
    memory = Memory()
    heads = Heads(memory, ["local"], "local")
    tree = fill(tmp_path / "0", {"a": bytes(60_000_000)})
    made, _ = await save(
        memory, None, {"": tree}, kind="build", meta={"cold": "1.0", "warm": "0.0"}
    )
    await heads.publish("v", made, lambda _: pytest.fail("nobody else has saved"))
    return Backend(memory, heads, True, Budget(30.0))


@pytest.mark.parametrize(("effort", "did"), [(1.0, "restored"), (20.0, "skipped")])
async def test_what_is_heavy_to_bring_must_be_worth_more(backend, tmp_path, effort, did):
    (into := tmp_path / "1").mkdir()
    came = await bring(backend, "v", into, Settings("x"), lambda: FAST, effort=effort)
    assert (came.did, (into / "a").exists()) == (did, did == "restored")


async def test_what_nobody_has_saved_is_missed(backend, tmp_path):
    (into := tmp_path / "1").mkdir()
    came = await bring(backend, "w", into, Settings("x"), lambda: FAST)
    assert (came.did, came.found, came.got) == ("missed", None, None)
