"""Trees that lie elsewhere: listed, compared, fetched in part, saved whole."""

import os
import shutil
import subprocess

import pytest

from pipelines.caches import listing
from pipelines.caches.errors import Damaged
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from tests.caches.memory import Memory
from tests.caches.trees import describe, fill

pytestmark = pytest.mark.anyio
FILES = {"d/a": b"a" * 5000, "d/b": b"b", "new\nline": b"n", "-rf": b"x"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def listed(root, tmp_path, mark="m"):
    """List a directory as the engine's containers do."""
    into = tmp_path / "listing"
    done = ["sh", "-c", listing.SCRIPT, "sh", str(root), mark, str(into)]
    subprocess.run(done, check=True)
    return listing.read(into.read_bytes(), mark)


async def saved(memory, base, root, tmp_path):
    """Save a tree by what was fetched of it alone; give the paths that were."""
    delta = listing.delta(listed(root, tmp_path), base)
    place = tmp_path / f"fetched-{base.number if base else 0}"
    for path in map(os.fsdecode, delta.fetch):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, place / path, follow_symlinks=False)
    place.mkdir(exist_ok=True)
    made, _ = await save(
        memory, base, {"": place}, kind="build", exact=True, habit=delta.habit,
        seen={"": delta.seen} if delta.seen else {},
        scans={"": listing.settled(delta, place)},
    )  # fmt: skip
    return made, delta


async def test_a_listed_tree_comes_back_exactly(tmp_path):
    root, memory = fill(tmp_path / "0", FILES), Memory()
    os.link(root / "d/a", root / "hard")
    os.symlink("../nowhere", root / "d/soft")
    (root / "d/b").chmod(0o4750)
    for path, when in (("d/soft", 123456789), ("d/b", 10**18 + 1), ("d", 5 * 10**17 + 7)):
        os.utime(root / path, ns=(when, when), follow_symlinks=False)
    made, _ = await saved(memory, None, root, tmp_path)
    (into := tmp_path / "1").mkdir()
    await restore(memory, made, "", into, exact=True)
    assert describe(into) == describe(root)


async def test_only_what_is_new_is_fetched(tmp_path):
    root, memory = fill(tmp_path / "0", FILES), Memory()
    base, first = await saved(memory, None, root, tmp_path)
    assert sorted(first.fetch) == sorted(map(os.fsencode, FILES))
    (root / "d/b").write_bytes(b"B")
    (root / "d/c").write_bytes(b"c")
    (root / "-rf").unlink()
    made, second = await saved(memory, base, root, tmp_path)
    assert sorted(second.fetch) == [b"d/b", b"d/c"]
    (into := tmp_path / "1").mkdir()
    await restore(memory, made, "", into, exact=True)
    assert describe(into) == describe(root)


@pytest.mark.parametrize(
    ("change", "unchanged"),
    [
        (lambda _: None, True),
        (lambda root: (root / "d/b").chmod(0o600), False),
        (lambda root: (root / "d/b").unlink(), False),
        (lambda root: (root / "d/z").write_bytes(b""), False),
        (lambda root: os.utime(root / "d/b", ns=(1, 1)), False),
        (lambda root: (root / "d/z").mkdir(), False),
    ],
)
async def test_a_tree_is_unchanged_only_if_the_base_has_all_of_it(tmp_path, change, unchanged):
    root = fill(tmp_path / "0", FILES)
    base, _ = await saved(Memory(), None, root, tmp_path)
    change(root)
    assert listing.delta(listed(root, tmp_path), base).unchanged == unchanged


async def test_credentials_are_not_fetched_and_those_that_show_only_inside_are_not_saved(tmp_path):
    secret = {"a/.netrc": b"machine x", ".npmrc": b"_authToken=abcdefg", "b/.npmrc": b"color=1"}
    made, delta = await saved(Memory(), None, fill(tmp_path / "0", secret), tmp_path)
    assert b"a/.netrc" not in delta.fetch
    assert [e.path for e in made.entries() if e.kind == "file"] == ["b/.npmrc"]


async def test_what_go_wants_left_behind_is_not_fetched_and_the_habit_travels(tmp_path):
    go = {"00/a-a": b"1", "ff/b-d": b"2", "README": b"", "trim.txt": b"9", "kept/x/exe": b"3"}
    made, delta = await saved(Memory(), None, fill(tmp_path / "0", go), tmp_path)
    assert sorted(delta.fetch) == [b"00/a-a", b"README", b"ff/b-d"]
    assert made.meta["habit"] == "go-build"


async def test_new_entries_of_a_go_cache_are_saved_and_those_left_out_before_are_not(
    tmp_path,
):
    root = fill(tmp_path / "0", {"00/a-a": b"1", "ff/b-d": b"2", "README": b""})
    base, _ = await saved(Memory(), None, root, tmp_path)
    (root / "00/new-a").write_bytes(b"new")
    (root / "00/old-a").write_bytes(b"old")
    os.utime(root / "00/old-a", (base.made - 86400, base.made - 86400))
    assert listing.delta(listed(root, tmp_path), base).fetch == (b"00/new-a",)


async def test_a_file_that_is_gone_before_it_is_fetched_is_left_out_with_its_other_names(tmp_path):
    root = fill(tmp_path / "0", FILES)
    os.link(root / "d/a", root / "hard")
    delta = listing.delta(listed(root, tmp_path), None)
    (place := tmp_path / "fetched").mkdir()
    (place / "-rf").write_bytes(b"x")
    scan = listing.settled(delta, place)
    assert [row.path for row in scan.rows] == [b"", b"-rf", b"d"]
    assert {path for path, _ in scan.skipped} == {b"d/a", b"d/b", b"hard", b"new\nline"}


@pytest.mark.parametrize(
    "content",
    [b"", b"find: /v: denied\n", b"m x y\n", b"m 41ed 0 0 1 2 3 4 d t z ./a\n", b"m 81a4\n"],
)
def test_what_is_no_listing_is_said(content):
    with pytest.raises(Damaged):
        listing.read(content, "m")
