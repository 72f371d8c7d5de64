"""Whatever is changed, cut, newer or hostile is an error before a byte is visible."""

import random
import stat
import struct

import anyio
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.caches.cutting import LARGEST
from pipelines.caches.errors import CacheError, Damaged, TooNew, Unavailable
from pipelines.caches.faults import inflate
from pipelines.caches.generation import Generation, load, put, seal
from pipelines.caches.index import Index
from pipelines.caches.limits import Limits
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from pipelines.caches.seen import Seen
from pipelines.caches.tree import DIR, FILE, HARD, LINK, WHITEOUT, Rows
from pipelines.caches.verifying import inspect, verify
from tests.caches.memory import Cut, Flip, Hang, Lose, Memory, Refuse, on
from tests.caches.trees import describe, fill

pytestmark = pytest.mark.anyio

NOISE = random.Random(3).randbytes(700_000)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def kept(tmp_path):
    """A backend, with a small generation of a small, a large and an empty file."""
    root = fill(tmp_path / "from", {"d/a": b"a" * 50, "large": NOISE, "none": b""})
    memory = Memory()
    generation, _ = await save(memory, None, {"": root}, kind="download", records={"k": b"v"})
    return memory, generation


async def attempt(memory: Memory, digest: str, into, **more) -> None:
    """Load and restore; whatever goes wrong, nothing is left."""
    into.mkdir(exist_ok=True)
    try:
        await restore(memory, await load(memory, digest), "", into, **more)
    except BaseException:
        assert not [*into.iterdir()]
        raise


def spread(size: int, count: int) -> list[int]:
    """Choose bits all over an object, and those of both ends."""
    bits = random.Random(size).sample(range(size * 8), count)
    return [*range(64), *bits, *range(size * 8 - 64, size * 8)]


@pytest.mark.parametrize("prefix", ["packs/", "manifests/"])
async def test_no_changed_bit_goes_unnoticed(kept, tmp_path, prefix):
    memory, generation = kept
    (name,) = memory.names(prefix)
    for bit in spread(len(memory.objects[name][0]), 200):
        memory.flip(name, bit)
        if prefix == "packs/" and bit < 64:
            # The magic of a pack is not read by a restore, but by `verify`.
            assert (await verify(memory, generation)).faults
        else:
            with pytest.raises(Damaged):
                await attempt(memory, generation.digest, tmp_path / "to")
        memory.flip(name, bit)
    await attempt(memory, generation.digest, tmp_path / "to")


@pytest.mark.parametrize("prefix", ["packs/", "manifests/"])
async def test_no_cut_goes_unnoticed(kept, tmp_path, prefix):
    memory, generation = kept
    (name,) = memory.names(prefix)
    size = len(memory.objects[name][0])
    for left in [0, 1, 7, 8, 9, size // 2, size - 2, size - 1]:
        other = memory.copy()
        other.cut(name, left)
        with pytest.raises(Damaged):
            await attempt(other, generation.digest, tmp_path / "to")


async def test_every_bit_of_a_small_pack_and_manifest_counts(tmp_path):
    memory = Memory()
    root = fill(tmp_path / "from", {"a": b"hello, world"})
    generation, _ = await save(memory, None, {"": root}, kind="download")
    (pack,) = memory.names("packs/")
    for bit in range(64, len(memory.objects[pack][0]) * 8):
        memory.faults = on("read", Flip(bit - 64), name="packs/")
        with pytest.raises(Damaged):
            await attempt(memory, generation.digest, tmp_path / "to")
    for bit in range(len(generation.content) * 8):
        memory.faults = on("read", Flip(bit), name="manifests/")
        with pytest.raises(CacheError):
            await load(memory, generation.digest)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_manifest_with_the_right_name_and_wrong_bytes_is_an_error(data):
    """An attacker who writes manifests names them rightly: decoding has to hold by itself."""
    index = Index()
    rows = Rows()
    rows.add(b"", DIR, 0o755, 0)
    rows.add(b"a", LINK, 0o777, 5, target=b"b")
    good = seal(
        number=1, parents=[], made=0.0, kind="download", meta={}, trees={"": rows},
        records={"k": b"v"}, index=index,
    ).content  # fmt: skip
    at = data.draw(st.integers(0, len(good) - 1))
    size = data.draw(st.integers(0, 5))
    content = good[:at] + data.draw(st.binary(max_size=8)) + good[at + size :]
    try:
        generation = Generation.decode(content)
        [*generation.entries()]
        assert generation.records is not None
    except (Damaged, TooNew):
        pass


async def test_a_newer_format_is_told_from_damage(kept):
    memory, generation = kept
    content = bytearray(generation.content)
    content[7] += 1
    from blake3 import blake3

    digest = blake3(content).hexdigest()
    await memory.write(f"manifests/{digest}", bytes(content))
    with pytest.raises(TooNew, match="version 2"):
        await load(memory, digest)


def forged(*rows: tuple, index: Index | None = None) -> Generation:
    made = Rows()
    made.add(b"", DIR, 0o755, 0)
    for path, kind, mode, target in rows:
        made.add(path, kind, mode, 0, target=target)
    return seal(
        number=1, parents=[], made=0.0, kind="download", meta={}, trees={"": made},
        records={}, index=index or Index(),
    )  # fmt: skip


ESCAPES = {
    "absolute": [(b"/etc", DIR, 0o755, b""), (b"/etc/x", FILE, 0o644, b"")],
    "climbing": [(b"..", DIR, 0o755, b""), (b"../x", FILE, 0o644, b"")],
    "climbing below": [(b"a", DIR, 0o755, b""), (b"a/..", DIR, 0o755, b"")],
    "through a link": [(b"a", LINK, 0o777, b"/etc"), (b"a/x", FILE, 0o644, b"")],
    "through a file": [(b"a", FILE, 0o644, b""), (b"a/x", FILE, 0o644, b"")],
    "without a parent": [(b"a/x", FILE, 0o644, b"")],
    "twice": [(b"a", LINK, 0o777, b"/etc"), (b"a", FILE, 0o644, b"")],
    "an empty name": [(b"a", DIR, 0o755, b""), (b"a/", FILE, 0o644, b"")],
    "a dot": [(b".", DIR, 0o755, b"")],
    "out of order": [(b"b", FILE, 0o644, b""), (b"a", FILE, 0o644, b"")],
    "a hard link outside": [(b"a", HARD, 0o644, b"../../etc/passwd")],
    "a hard link to a link": [(b"a", LINK, 0o777, b"/etc/passwd"), (b"b", HARD, 0o644, b"a")],
    "setuid": [(b"a", FILE, 0o4755, b"")],
    "setgid": [(b"a", FILE, 0o2755, b"")],
    "a whiteout": [(b"a", WHITEOUT, 0, b"")],
    "a mode of other bits": [(b"a", FILE, 0o10644, b"")],
    "a link to nothing": [(b"a", LINK, 0o777, b"")],
}


@pytest.mark.parametrize("rows", ESCAPES.values(), ids=ESCAPES)
async def test_a_tree_that_would_escape_is_refused(tmp_path, rows):
    memory, generation = Memory(), forged(*rows)
    await put(memory, generation)
    with pytest.raises(Damaged):
        await attempt(memory, generation.digest, tmp_path / "to")
    assert (await verify(memory, generation)).faults
    assert [p.name for p in tmp_path.iterdir()] == ["to"]


async def test_a_link_may_point_anywhere_but_nothing_follows_it(tmp_path):
    memory, generation = Memory(), forged((b"a", LINK, 0o777, b"/etc"))
    await put(memory, generation)
    await attempt(memory, generation.digest, tmp_path / "to")
    assert stat.S_ISLNK((tmp_path / "to/a").lstat().st_mode)


async def test_a_tree_larger_than_allowed_is_refused_before_anything_is_read(kept, tmp_path):
    memory, generation = kept
    memory.requests.clear()
    with pytest.raises(Damaged, match="are allowed"):
        into = tmp_path / "to"
        into.mkdir()
        await restore(memory, generation, "", into, limits=Limits(size=100_000))
    assert not memory.requests


async def test_too_many_entries_are_refused(kept):
    memory, generation = kept
    small = await load(memory, generation.digest, Limits(entries=3))
    with pytest.raises(Damaged, match="entries"):
        small.rows()


async def test_one_chunk_in_a_million_places_counts_a_million_times(tmp_path):
    """A bomb: a small pack that is written over and over."""
    memory = Memory()
    root = fill(tmp_path / "from", {"a": bytes(LARGEST) * 4})
    made, _ = await save(memory, None, {"": root}, kind="download")
    rows = Rows()
    rows.add(b"", DIR, 0o755, 0)
    rows.add(b"a", FILE, 0o644, 0, chunks=[0] * 1_000_000)
    bomb = seal(
        number=1, parents=[], made=0.0, kind="download", meta={}, trees={"": rows},
        records={}, index=made.index,
    )  # fmt: skip
    await put(memory, bomb)
    with pytest.raises(Damaged, match="are allowed"):
        await attempt(memory, bomb.digest, tmp_path / "to")


def test_a_frame_that_declares_more_than_the_index_is_not_decompressed():
    bomb = zstandard.compress(bytes(50 << 20))
    with pytest.raises(Damaged, match="does not declare"):
        inflate(bomb, 1000, "a frame")
    unsaid = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(50 << 20))
    with pytest.raises(Damaged):
        inflate(unsaid, 1000, "a frame")


async def test_a_manifest_that_claims_too_much_is_refused(kept):
    memory, generation = kept
    with pytest.raises(Damaged):
        await load(memory, generation.digest, Limits(manifest=300))


@pytest.mark.parametrize("fault", [Refuse(), Cut(20), Flip(4)])
async def test_a_restore_that_fails_half_way_leaves_nothing(tmp_path, fault):
    root = fill(tmp_path / "from", {f"{i}": random.Random(i).randbytes(900_000) for i in range(12)})
    memory = Memory()
    generation, _ = await save(memory, None, {"": root}, kind="download")
    for pack in (0, 1):
        assert len(generation.packs) == 2
        memory.faults = on("read", fault, name=generation.packs[pack].name)
        with pytest.raises(CacheError):
            await attempt(memory, generation.digest, tmp_path / "to")


async def test_a_restore_that_is_cancelled_leaves_nothing(kept, tmp_path):
    memory, generation = kept
    memory.faults = on("read", Hang(), name="packs/")
    (tmp_path / "to").mkdir()
    with anyio.move_on_after(0.05) as scope:
        await restore(memory, generation, "", tmp_path / "to")
    assert scope.cancelled_caught
    assert not [*(tmp_path / "to").iterdir()]


async def test_a_directory_that_is_not_empty_is_left_as_it_is(kept, tmp_path):
    memory, generation = kept
    with pytest.raises(FileExistsError, match="not empty"):
        await restore(memory, generation, "", tmp_path / "from")
    assert (tmp_path / "from/d/a").exists()


@pytest.mark.parametrize("fault", [Refuse(), Lose()])
async def test_a_save_that_dies_at_any_write_leaves_the_last_generation(tmp_path, fault):
    memory = Memory()
    root = fill(tmp_path / "from", {"a": NOISE})
    first, _ = await save(memory, None, {"": root}, kind="download")
    before = describe(root)
    fill(root, {"b": NOISE[::-1]})
    for number in range(2):
        broken = memory.copy()
        broken.faults = on("write", fault, number=number)
        with pytest.raises(Unavailable):
            await save(broken, first, {"": root}, kind="download")
        broken.faults = None
        into = tmp_path / f"to{number}"
        into.mkdir()
        await restore(broken, await load(broken, first.digest), "", into)
        found = describe(into)
        assert {k: v for k, v in found.items() if k} == {k: v for k, v in before.items() if k}
        await save(broken, first, {"": root}, kind="download")


async def test_a_save_that_is_cancelled_ends(kept, tmp_path):
    memory, _ = kept
    memory.faults = on("write", Hang())
    root = fill(tmp_path / "more", {"x": NOISE[::-1]})
    with anyio.move_on_after(0.05) as scope:
        await save(memory, None, {"": root}, kind="download")
    assert scope.cancelled_caught


async def test_verify_says_what_is_wrong_with_which_object(kept):
    memory, generation = kept
    assert (await verify(memory, generation)).faults == {}
    (name,) = memory.names("packs/")
    memory.flip(name, 1000)
    assert [*(await verify(memory, generation)).faults] == [name]
    await memory.delete(name)
    assert "has no" in (await verify(memory, generation)).faults[name]


async def test_inspect_counts_without_reading(kept):
    memory, generation = kept
    memory.requests.clear()
    found = inspect(generation)
    assert (found.number, found.records, found.trees[0].entries) == (1, 1, 5)
    assert found.live > 0.99
    assert not memory.requests


def test_a_stat_map_comes_back_and_damage_is_an_error():
    seen = Seen("ab", 5, {b"a": (1, -2, 3, 4), b"b\xff": (2**40, 2**61, -(2**61), 0)})
    assert Seen.load(seen.dump()) == seen
    with pytest.raises(Damaged):
        Seen.load(seen.dump()[:-1])
    with pytest.raises(Damaged):
        Seen.load(struct.pack("<I", 9))
