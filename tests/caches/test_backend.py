"""The way to a backend: what several savers left side by side is read as one."""

import pytest

from pipelines.caches.backend import Backend
from pipelines.caches.budget import Budget
from pipelines.caches.heads import Found
from pipelines.caches.saving import save
from tests.caches.memory import Memory

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class SideBySide:
    """Heads of a backend without a comparison, such as a registry."""

    refused = ()

    def __init__(self, *digests):
        self.digests = digests

    async def find(self, key):
        newest, *others = self.digests
        return Found("trusted", newest, 1, 0.0, 1e12, tuple(others))


async def test_what_savers_left_side_by_side_is_one(tmp_path):
    memory, made = Memory(), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(name)
        records = {name: b"record"}
        trees = {"": tmp_path / name}
        made.append((await save(memory, None, trees, kind="download", records=records))[0])
    heads = SideBySide(*(one.digest for one in made))
    found = await Backend(memory, heads, writes=False, budget=Budget(30.0)).newest("key")
    assert set(found.records) == {"one", "two"}
    assert {entry.path for entry in found.entries("") if entry.size} >= {"one.txt", "two.txt"}
