"""What is saved comes back exactly."""

import os
import random
from pathlib import Path

import pytest

from pipelines.caches.generation import Generation, load
from pipelines.caches.restoring import Restored, restore
from pipelines.caches.saving import save
from tests.caches.memory import Memory
from tests.caches.trees import describe, fill

pytestmark = pytest.mark.anyio

NOISE = random.Random(7).randbytes(3_000_000)


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def saved(memory: Memory, root: Path, base: Generation | None = None, **more) -> Generation:
    generation, _ = await save(memory, base, {"": root}, kind="build", **more)
    return await load(memory, generation.digest)


async def back(memory: Memory, generation: Generation, into: Path, **more) -> Restored:
    into.mkdir()
    return await restore(memory, generation, "", into, **more)


async def test_every_kind_of_entry_comes_back_with_its_mode_and_time(tmp_path):
    root = tmp_path / "from"
    fill(root, {"a/small": b"x", "a/b/large": NOISE, "empty": b"", "a/copy": b"x"})
    os.symlink("../nowhere", root / "a/link")
    os.link(root / "a/small", root / "z-hard")
    (root / "a/none").mkdir()
    os.chmod(root / "a/b/large", 0o451)
    os.utime(root / "empty", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root / "a/link", ns=(1, 77), follow_symlinks=False)
    os.utime(root / "a/none", ns=(1, 2**33 * 10**9))
    os.utime(root / "a", ns=(1, 5))
    memory = Memory()
    generation = await saved(memory, root)
    await back(memory, generation, tmp_path / "to")
    assert describe(tmp_path / "to") == describe(root)


async def test_names_that_are_no_text_or_very_long_come_back(tmp_path):
    root = os.fsencode(tmp_path / "from")
    held = os.open(os.makedirs(root) or root, os.O_RDONLY)
    for _ in range(20):  # 5,000 bytes: more than the kernel takes at once
        os.mkdir(b"n" * 250, dir_fd=held)
        inner = os.open(b"n" * 250, os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(os.open(b"deep\xff\xfe", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=held))
    os.close(held)
    (tmp_path / "from" / os.fsdecode(b"\xff \n'\"\\")).write_bytes(b"odd")
    memory = Memory()
    generation = await saved(memory, tmp_path / "from")
    await back(memory, generation, tmp_path / "to")
    again = await saved(memory, tmp_path / "to")
    assert again.trees[""].digest == generation.trees[""].digest
    assert [e.path for e in again.entries()][-1] == os.fsdecode(b"\xff \n'\"\\")


async def test_holes_are_not_read_and_come_back(tmp_path):
    root = fill(tmp_path / "from", {"sparse": b""})
    with open(root / "sparse", "r+b") as held:
        held.seek(10 << 20)
        held.write(NOISE[:100_000])
        held.truncate(40 << 20)
    memory = Memory()
    await back(memory, await saved(memory, root), tmp_path / "to")
    assert describe(tmp_path / "to") == describe(root)
    assert (tmp_path / "to/sparse").stat().st_blocks * 512 < 2 << 20


async def test_directories_that_may_not_be_written_come_back(tmp_path):
    root = fill(tmp_path / "from", {"mod/a/go.mod": b"module a", "mod/a/b": b"1"})
    for name in ("mod/a/go.mod", "mod/a", "mod"):
        os.chmod(root / name, 0o555 if name != "mod/a/go.mod" else 0o444)
    memory = Memory()
    await back(memory, await saved(memory, root), tmp_path / "to")
    same = describe(tmp_path / "to") == describe(root)
    for place in (root, tmp_path / "to"):
        os.chmod(place / "mod", 0o755)
        os.chmod(place / "mod/a", 0o755)
    assert same


async def test_one_of_several_trees_is_restored_by_itself(tmp_path):
    one = fill(tmp_path / "one", {"a": NOISE[:200_000]})
    two = fill(tmp_path / "two", {"b": NOISE[200_000:2_000_000]})
    memory = Memory()
    made, _ = await save(
        memory, None, {"layer/1": one, "layer/2": two}, kind="results", records={"k": b"v"}
    )
    generation = await load(memory, made.digest)
    (tmp_path / "to").mkdir()
    memory.requests.clear()
    await restore(memory, generation, "layer/1", tmp_path / "to")
    assert describe(tmp_path / "to") == describe(one)
    assert memory.moved("read") < 400_000
    assert generation.records == {"k": b"v"}


async def test_trees_and_records_that_are_not_given_again_are_carried_over(tmp_path):
    one = fill(tmp_path / "one", {"a": NOISE[:2000]})
    two = fill(tmp_path / "two", {"b": NOISE[5000:9000]})
    memory = Memory()
    first, _ = await save(memory, None, {"1": one, "0": one}, kind="results", records={"a": b"1"})
    second, _ = await save(
        memory, first, {"2": two}, kind="results", records={"b": b"2"}, drop=["0"]
    )
    assert list(second.trees) == ["1", "2"]
    assert second.records == {"a": b"1", "b": b"2"}
    (tmp_path / "to").mkdir()
    await restore(memory, second, "1", tmp_path / "to")
    assert describe(tmp_path / "to") == describe(one)


async def test_equal_trees_have_equal_digests_and_write_equal_packs(tmp_path):
    one = fill(tmp_path / "one", {"a": b"1", "b": NOISE})
    memory, other = Memory(), Memory()
    generation = await saved(memory, one)
    await back(memory, generation, tmp_path / "two")
    again = await saved(other, tmp_path / "two")
    assert again.trees == generation.trees
    assert memory.names("packs/") == other.names("packs/")
