"""Two savers at once: nothing of either is lost."""

from pathlib import Path

import pytest

from pipelines.caches.generation import Generation, load
from pipelines.caches.merging import merge, unite
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from tests.caches.memory import Memory
from tests.caches.trees import fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def saved(memory: Memory, base: Generation | None, root: Path, files: dict, **more):
    options = {"kind": "download"} | more
    generation, _ = await save(memory, base, {"": fill(root, files)}, **options)
    return generation


async def files(memory: Memory, generation: Generation, into: Path) -> dict[str, bytes]:
    into.mkdir()
    await restore(memory, await load(memory, generation.digest), "", into)
    return {
        str(p.relative_to(into)): p.read_bytes() for p in sorted(into.rglob("*")) if p.is_file()
    }


async def test_the_union_of_two_savers_is_restored_and_uploads_only_a_manifest(tmp_path):
    memory = Memory()
    base = await saved(memory, None, tmp_path / "0", {"a/1": b"one"})
    left = await saved(memory, base, tmp_path / "1", {"a/1": b"one", "a/2": b"two", "l/x": b"1"})
    right = await saved(memory, base, tmp_path / "2", {"a/1": b"one", "a/3": b"three"})
    memory.requests.clear()
    united = await unite(memory, left, right.digest)
    assert [r.operation for r in memory.requests] == ["read", "write"]
    assert await files(memory, united, tmp_path / "to") == {
        "a/1": b"one", "a/2": b"two", "a/3": b"three", "l/x": b"1",
    }  # fmt: skip


async def test_merging_is_the_same_in_either_order(tmp_path):
    memory = Memory()
    one = await saved(memory, None, tmp_path / "1", {"a": b"1", "b": b"old"}, records={"k": b"1"})
    two = await saved(memory, one, tmp_path / "2", {"a": b"1", "b": b"new"}, records={"k": b"2"})
    assert merge(one, two).digest == merge(two, one).digest
    assert merge(one, one) is one


async def test_of_two_entries_the_newer_wins_and_a_file_is_no_directory(tmp_path):
    memory = Memory()
    one = await saved(memory, None, tmp_path / "1", {"a/below": b"1", "b": b"old", "c/d/e": b"5"})
    two = await saved(memory, one, tmp_path / "2", {"a": b"a file", "b": b"new", "c/f": b"6"})
    both = await unite(memory, one, two.digest)
    assert await files(memory, both, tmp_path / "to") == {
        "a": b"a file", "b": b"new", "c/d/e": b"5", "c/f": b"6",
    }  # fmt: skip


async def test_a_cache_whose_entries_have_no_key_is_taken_whole(tmp_path):
    memory = Memory()
    mark = {".rustc_info.json": b"{}"}
    one = await saved(memory, None, tmp_path / "1", {**mark, "debug/a": b"1"}, kind="build")
    two = await saved(memory, one, tmp_path / "2", {**mark, "debug/b": b"2"}, kind="build")
    both = merge(one, two)
    assert both.trees == two.trees
    assert both.parents == tuple(sorted((one.digest, two.digest)))


async def test_results_of_both_are_there(tmp_path):
    memory = Memory()
    made = []
    for name in "12":
        root = fill(tmp_path / name, {"f": name.encode()})
        generation, _ = await save(
            memory, None, {name: root}, kind="results", records={name: b"{}"}, exact=True
        )
        made.append(generation)
    both = merge(*made)
    assert (sorted(both.trees), sorted(both.records)) == (["1", "2"], ["1", "2"])


async def test_eight_savers_of_one_base_lose_nothing(tmp_path):
    memory = Memory()
    base = await saved(memory, None, tmp_path / "0", {"shared": b"s"})
    head = base
    for number in range(8):
        names = {"shared": b"s", f"own/{number}": str(number).encode()}
        mine = await saved(memory, base, tmp_path / f"s{number}", names)
        head = mine if head is base else await unite(memory, mine, head.digest)
    assert len(await files(memory, head, tmp_path / "to")) == 9


async def test_a_lying_index_is_found_out_when_what_it_names_is_read(tmp_path):
    """A saver may claim that a digest is where it is not: merged with ours it must not pass."""
    memory = Memory()
    mine = await saved(memory, None, tmp_path / "1", {"a": b"right"})
    theirs = await saved(memory, None, tmp_path / "2", {"b": b"wrong", "c": b"other"})
    index = theirs.index
    wanted, (first, second) = mine.index.digest(0), (0, 1)
    for chunk in (first, second):
        index.digests[chunk * 32 : chunk * 32 + 32] = wanted
    from pipelines.caches.generation import put, seal

    rows = {"": theirs.rows()}
    lying = seal(
        number=9, parents=[], made=theirs.made + 9, kind="download", meta={}, trees=rows,
        records={}, index=index,
    )  # fmt: skip
    await put(memory, lying)
    both = await unite(memory, mine, lying.digest)
    into = tmp_path / "to"
    into.mkdir()
    with pytest.raises(Exception, match="not what the manifest says"):
        await restore(memory, both, "", into)
    assert not [*into.iterdir()]
