"""What is saved comes back exactly."""

import os
import random
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.caches.credentials import suspicion
from pipelines.caches.cutting import cut
from pipelines.caches.generation import Generation, load, seal
from pipelines.caches.habits import PLAIN
from pipelines.caches.index import Index, Pack
from pipelines.caches.limits import DEFAULT
from pipelines.caches.planning import plan, ranges
from pipelines.caches.restoring import Restored, restore
from pipelines.caches.saving import save
from pipelines.caches.scan import Keep, scan
from pipelines.caches.tree import DIR, FILE, Rows
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


NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {0, 47} & set(name) and name not in (b".", b"..") and not suspicion(name)
)
# How contents are made: the size of noise, or of zeros if negative.
CONTENTS = st.sampled_from([0, 1, 3, 40, 65_535, 65_536, 65_537, 300_000, -65_536, -600_000])
LEAVES = st.one_of(
    st.tuples(st.just("file"), CONTENTS, st.sampled_from([0o644, 0o600, 0o755, 0o444, 0o1666])),
    st.tuples(st.just("link"), NAMES, st.just(0)),
    st.tuples(st.just("hard"), st.just(9), st.just(0)),
)
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=5),
    lambda inner: st.dictionaries(NAMES, st.one_of(LEAVES, inner), max_size=5),
    max_leaves=20,
)


def grow(root: bytes, tree: dict, times: random.Random) -> None:
    """Make a tree on disk; a hard link is one to the last file that was made."""
    last = None
    for name, what in tree.items():
        path = os.path.join(root, name)
        when = times.randrange(-(2**31) * 10**9, 2**33 * 10**9)
        if isinstance(what, dict):
            os.mkdir(path)
            grow(path, what, times)
        elif what[0] == "link":
            os.symlink(what[1], path)
        elif what[0] == "hard" and last is not None:
            os.link(last, path)
        else:
            with open(path, "wb") as held:
                held.write(NOISE[: what[1]] if what[1] > 0 else bytes(-what[1]))
            os.chmod(path, what[2] or 0o640)
            last = path
        os.utime(path, ns=(0, when), follow_symlinks=False)


@settings(max_examples=40, deadline=None)
@given(TREES, st.integers(0, 99))
def test_any_tree_comes_back_and_once_more(tree, seed):
    async def there_and_back(top: Path) -> None:
        memory, root = Memory(), top / "from"
        root.mkdir()
        grow(os.fsencode(root), tree, random.Random(seed))
        generation = await saved(memory, root, habit=PLAIN)
        first = await back(memory, generation, top / "to")
        assert describe(top / "to") == describe(root)
        memory.requests.clear()
        again = await saved(memory, top / "to", generation, seen={"": first.seen})
        assert again.trees == generation.trees
        assert not memory.count("write", "packs/")

    with tempfile.TemporaryDirectory() as top:
        anyio.run(there_and_back, Path(top))


@pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")
async def test_layers_come_back_with_owners_attributes_and_whiteouts(tmp_path):
    root = fill(tmp_path / "from", {"d/a": b"1", "large": NOISE})
    os.chown(root / "d/a", 12, 34)
    os.chown(root / "d", 5, 6)
    os.chmod(root / "large", 0o4755)
    os.mknod(root / "gone", stat.S_IFCHR | 0o000, 0)
    os.symlink("x", root / "link")
    os.chown(root / "link", 7, 8, follow_symlinks=False)
    os.setxattr(root / "d", "user.overlay.opaque", b"y")
    os.setxattr(root / "d/a", "user.a", b"\0\xff")
    memory = Memory()
    made, _ = await save(memory, None, {"1": root}, kind="results", exact=True)
    (tmp_path / "to").mkdir()
    generation = await load(memory, made.digest)
    await restore(memory, generation, "1", tmp_path / "to", exact=True)
    assert describe(tmp_path / "to") == describe(root)
    for name in ("d", "d/a", "large", "gone", "link"):
        one, two = os.lstat(root / name), os.lstat(tmp_path / "to" / name)
        assert (one.st_uid, one.st_gid, one.st_rdev) == (two.st_uid, two.st_gid, two.st_rdev)
    assert os.getxattr(tmp_path / "to/d", "user.overlay.opaque") == b"y"
    assert os.getxattr(tmp_path / "to/d/a", "user.a") == b"\0\xff"


async def test_pipes_and_sockets_are_passed_over_and_said(tmp_path):
    root = fill(tmp_path / "from", {"a": b"1"})
    os.mkfifo(root / "pipe")
    memory = Memory()
    _, done = await save(memory, None, {"": root}, kind="build")
    assert done.skipped == (("pipe", "neither a file, a directory nor a link"),)


async def test_what_changes_while_it_is_saved_is_read_again_or_left_out(tmp_path):
    root = fill(tmp_path / "from", {"a": b"1", "b": b"2"})
    found = scan(root, Keep())
    (root / "a").write_bytes(b"other")
    held = os.open(root, os.O_RDONLY)
    rows = {row.path: row for row in found.rows}
    assert b"".join(p.content for p in cut(rows[b"a"], held, ())) == b"other"
    assert rows[b"a"].size == 5
    os.close(held)


async def test_an_unchanged_file_is_not_read_again(tmp_path):
    root = fill(tmp_path / "from", {f"{i}": b"%d" % i for i in range(50)})
    memory = Memory()
    first, done = await save(memory, None, {"": root}, kind="build")
    seen = replace(done.seen[""], taken=done.seen[""].taken + 10**9)
    fill(root, {"7": b"seven"})
    second, done = await save(memory, first, {"": root}, kind="build", seen={"": seen})
    assert done.read == 1
    assert done.bytes < 6000
    assert [e.digest for e in second.entries()] != [e.digest for e in first.entries()]


async def test_fifty_thousand_entries_are_one_manifest_and_one_range():
    rows, index = Rows(), Index()
    pack = index.add_pack(Pack(bytes(32), 300 * 900))
    rows.add(b"", DIR, 0o755, 0)
    for directory in range(50):
        rows.add(b"%03d" % directory, DIR, 0o755, 0)
        frame = index.add_frame(pack, directory * 900, 900, 1_000_000, bytes(32))
        for number in range(1000):
            chunk = index.add_chunk(frame, number * 1000, 1000, blake3(b"%d" % number).digest())
            rows.add(b"%03d/f%06d" % (directory, number), FILE, 0o644, number, chunks=[chunk])
    generation = seal(
        number=1, parents=[], made=0.0, kind="download", meta={}, trees={"": rows}, records={},
        index=index,
    )  # fmt: skip
    read = Generation.decode(generation.content)
    assert read.trees[""].entries == len(read.rows()) == 50_051
    assert len(ranges(read.index, plan(read, "", DEFAULT, False))) == 1


async def test_a_file_of_two_trees_of_results_is_read_once(tmp_path):
    layer = fill(tmp_path / "layer", {"out": NOISE, "other": b"x"})
    (tmp_path / "files").mkdir()
    (tmp_path / "files/1").hardlink_to(layer / "out")
    trees, memory = {"files/1": tmp_path / "files", "layer/1": layer}, Memory()
    made, result = await save(memory, None, trees, kind="results", exact=True)
    (tmp_path / "to").mkdir()
    await restore(memory, made, "layer/1", tmp_path / "to", exact=True)
    assert (result.read, (tmp_path / "to/out").read_bytes()) == (2, NOISE)


async def test_two_thousand_files_come_back(tmp_path):
    root = tmp_path / "from"
    for directory in range(20):
        fill(root, {f"{directory:02}/{n}": b"%d %d" % (directory, n) for n in range(100)})
    memory = Memory()
    found = await back(memory, await saved(memory, root), tmp_path / "to")
    assert (found.files, found.requests) == (2_000, 1)
    assert describe(tmp_path / "to") == describe(root)
