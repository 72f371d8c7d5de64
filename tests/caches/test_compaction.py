"""Packs stay few and full, and deltas small."""

import random
from pathlib import Path

import pytest

from pipelines.caches.compaction import victims
from pipelines.caches.generation import load
from pipelines.caches.index import Index, Pack
from pipelines.caches.packing import pack_size
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from pipelines.caches.verifying import inspect, verify
from tests.caches.memory import Memory, Refuse, on
from tests.caches.trees import describe, fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def index_of(*packs: tuple[int, int]) -> tuple[Index, set[int]]:
    """Make an index of packs of (bytes, live percent), and the live chunks."""
    index, live = Index(), set()
    for number, (size, percent) in enumerate(packs):
        index.add_pack(Pack(bytes([number] * 32), size))
        frame = index.add_frame(number, 0, size, 100, bytes(32))
        kept = index.add_chunk(frame, 0, percent, bytes(32))
        index.add_chunk(frame, percent, 100 - percent, bytes(32))
        live.add(kept)
    return index, live


MB = 1 << 20


@pytest.mark.parametrize(
    ("packs", "chosen"),
    [
        ([(32 * MB, 90), (32 * MB, 20)], set()),  # more than half is live
        ([(32 * MB, 60), (32 * MB, 20)], {1}),
        ([(32 * MB, 10), (32 * MB, 5)], {0, 1}),
        ([(20 * MB, 100)] + [(MB, 100)] * 8, set()),
        ([(20 * MB, 100)] + [(MB, 100)] * 9, set(range(1, 10))),
        ([(10 * MB, 100)] * 12, set()),
        ([(10 * MB, 100)] * 13, {0, 1, 2, 3, 4}),
    ],
)
def test_what_is_written_anew(packs, chosen):
    assert victims(*index_of(*packs)) == chosen


async def test_many_small_saves_keep_few_packs_and_upload_little(tmp_path):
    memory, generation = Memory(), None
    root = fill(tmp_path / "from", {"base": noise(0, 2_000_000)})
    for number in range(1, 31):
        fill(root, {f"d/{number}": noise(number, 5000)})
        generation, saved = await save(memory, generation, {"": root}, kind="download")
        assert len(generation.packs) <= 10
        if number > 1 and not saved.rewritten:
            assert saved.bytes < 8000 + len(generation.content)
    assert memory.moved("write", "packs/") < 2 * 30 * 5000 + 4_200_000 * 3
    (tmp_path / "to").mkdir()
    memory.requests.clear()
    back = await restore(memory, await load(memory, generation.digest), "", tmp_path / "to")
    assert describe(tmp_path / "to") == describe(root)
    assert back.requests <= 10
    assert not (await verify(memory, generation)).faults


async def test_what_is_mostly_dead_is_written_anew_without_the_rest(tmp_path):
    memory = Memory()
    names = {f"{i:02}": noise(i, 500_000) for i in range(30)}
    root = fill(tmp_path / "from", names)
    generation, _ = await save(memory, None, {"": root}, kind="download")
    for number, name in enumerate(sorted(names)):
        if number % 3:
            (root / name).unlink()
    generation, saved = await save(memory, generation, {"": root}, kind="download")
    assert saved.rewritten >= 1
    found = inspect(generation)
    assert found.live > 0.5
    assert saved.bytes < 6_000_000
    (tmp_path / "to").mkdir()
    await restore(memory, await load(memory, generation.digest), "", tmp_path / "to")
    assert describe(tmp_path / "to") == describe(root)


async def test_compaction_that_can_not_read_leaves_things_as_they_are(tmp_path):
    memory, generation = Memory(), None
    root = tmp_path / "from"
    for number in range(9):
        fill(root, {f"{number}": noise(number, 5000)})
        generation, _ = await save(memory, generation, {"": root}, kind="download")
    memory.faults = on("read", Refuse())
    fill(root, {"last": b"x"})
    generation, saved = await save(memory, generation, {"": root}, kind="download")
    memory.faults = None
    assert saved.rewritten == 0
    assert not (await verify(memory, generation)).faults


@pytest.mark.parametrize(("total", "size"), [(0, 8), (60, 10), (190, 31), (900, 128)])
def test_packs_are_few_and_small_changes_small(total, size):
    assert pack_size(total * MB) // MB == size


async def test_what_does_not_compress_is_restored_by_few_requests(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.caches.packing.PACK", 1 * MB)
    memory = Memory()
    root = fill(tmp_path / "from", {f"{i}": noise(i, 900_000) for i in range(40)})
    generation, _ = await save(memory, None, {"": root}, kind="download")
    assert len(generation.packs) <= 8


async def test_a_huge_file_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.caches.reading.HUGE", 1 * MB)
    monkeypatch.setattr("pipelines.caches.cutting.HUGE", 1 * MB)
    memory, plain = Memory(), Memory()
    root = fill(tmp_path / "from", {"a": b"1", "huge": noise(1, 5_000_000), "z": b"2"})
    generation, saved = await save(memory, None, {"": root}, kind="download")
    assert saved.read == 3
    monkeypatch.undo()
    whole, _ = await save(plain, None, {"": root}, kind="download")
    assert generation.trees == whole.trees  # windows do not move where chunks end
    (tmp_path / "to").mkdir()
    await restore(memory, generation, "", tmp_path / "to")
    assert describe(tmp_path / "to") == describe(root)


async def test_an_insertion_in_a_large_file_uploads_little(tmp_path):
    memory = Memory()
    content = noise(1, 20_000_000)
    root = fill(tmp_path / "from", {"binary": content})
    first, _ = await save(memory, None, {"": root}, kind="build")
    fill(root, {"binary": content[:7_000_000] + b"inserted" + content[7_000_000:]})
    _, saved = await save(memory, first, {"": root}, kind="build")
    assert saved.bytes < len(content) * 0.02


async def test_a_file_that_moved_or_doubled_uploads_nothing_of_it(tmp_path: Path):
    memory = Memory()
    root = fill(tmp_path / "from", {"a": noise(1, 300_000), "b": noise(2, 900)})
    first, _ = await save(memory, None, {"": root}, kind="build")
    (root / "a").rename(root / "moved")
    fill(root, {"c": noise(2, 900)})
    second, _ = await save(memory, first, {"": root}, kind="build")
    assert second.packs == first.packs
