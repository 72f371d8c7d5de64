"""Trimming by use, what tools leave behind, and credentials."""

import os
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pipelines.caches.credentials import suspicion
from pipelines.caches.generation import Generation
from pipelines.caches.habits import HABITS, detect
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from pipelines.caches.seen import Seen
from tests.caches.memory import Memory
from tests.caches.trees import fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def go_cache(root: Path, names: str) -> Path:
    fill(root, {"README": b"", "trim.txt": b"1", "00/x": b"", "ff/x": b""})
    return fill(root, {f"00/{name}-d": name.encode() * 300 for name in names})


def paths(generation: Generation) -> set[str]:
    return {e.path[3:4] for e in generation.entries() if e.path.endswith("-d")}


async def run(memory: Memory, base: Generation, into: Path, *, use: str, new: str = ""):
    """Restore, use some files as Go does, make others, and save."""
    into.mkdir()
    back = await restored(memory, base, into)
    for name in use:
        os.utime(into / f"00/{name}-d")
    fill(into, {f"00/{name}-d": name.encode() * 300 for name in new})
    return await save(memory, base, {"": into}, kind="build", seen={"": back})


async def restored(memory: Memory, base: Generation, into: Path) -> Seen:
    """Restore, and wait until the clock shows that it was some time ago."""
    back = await restore(memory, base, "", into, aging=True)
    seen = replace(back.seen, taken=back.seen.taken + 10**8)
    while time.time_ns() < seen.taken:
        await anyio.sleep(0.01)
    return seen


async def test_what_two_generations_did_not_use_is_left_out(tmp_path):
    memory = Memory()
    first, _ = await save(memory, None, {"": go_cache(tmp_path / "0", "abc")}, kind="build")
    second, _ = await run(memory, first, tmp_path / "1", use="a", new="d")
    assert paths(second) == set("abcd")
    third, saved = await run(memory, second, tmp_path / "2", use="a", new="")
    assert (paths(third), saved.trimmed) == (set("ad"), 4)  # b and c, and the two x


async def test_a_fixed_file_that_was_only_touched_is_not_read_again(tmp_path):
    memory = Memory()
    first, _ = await save(memory, None, {"": go_cache(tmp_path / "0", "abc")}, kind="build")
    _, saved = await run(memory, first, tmp_path / "1", use="ab")
    assert saved.read == 0
    assert saved.bytes < 2000


async def test_the_time_of_what_was_not_used_is_not_that_of_the_restore(tmp_path):
    memory = Memory()
    root = go_cache(tmp_path / "0", "ab")
    os.utime(root / "00/b-d", (5, 5))
    first, _ = await save(memory, None, {"": root}, kind="build")
    second, _ = await run(memory, first, tmp_path / "1", use="a")
    times = {e.path: e.mtime_ns for e in second.entries()}
    assert times["00/b-d"] == 5 * 10**9


async def test_a_record_of_trimming_does_not_travel(tmp_path):
    root = go_cache(tmp_path / "0", "a")
    generation, saved = await save(Memory(), None, {"": root}, kind="build")
    assert "trim.txt" not in {e.path for e in generation.entries()}
    assert ("trim.txt", "the tool makes it anew") in saved.skipped


async def test_what_is_of_use_on_this_machine_only_does_not_travel(tmp_path):
    root = fill(go_cache(tmp_path / "0", "a"), {"kept/slot/bin/x": b"linked"})
    generation, _ = await save(Memory(), None, {"": root}, kind="build")
    assert not [e.path for e in generation.entries() if e.path.startswith("kept")]


async def test_owners_are_kept_and_credentials_are_not(tmp_path):
    root = fill(go_cache(tmp_path / "0", "a"), {".netrc": b"machine x"})
    generation, _ = await save(Memory(), None, {"": root}, kind="build", exact=True)
    found = {e.path: e for e in generation.entries()}
    assert (found["README"].uid, ".netrc" in found) == (os.getuid(), False)
    assert generation.meta["habit"] == "go-build"


async def test_a_corpus_shows_no_use_and_stays(tmp_path):
    memory = Memory()
    root = fill(go_cache(tmp_path / "0", "a"), {"fuzz/p/FuzzX/1": b"seed"})
    generation, _ = await save(memory, None, {"": root}, kind="build")
    for number in (1, 2, 3):
        generation, _ = await run(memory, generation, tmp_path / str(number), use="")
    assert paths(generation) == set()
    assert "fuzz/p/FuzzX/1" in {e.path for e in generation.entries()}


async def saves(memory: Memory, root: Path, count: int):
    """Save a tree of a store that outlives its runs some times; give the last."""
    generation, saved = await save(memory, None, {"": root}, kind="build")
    for _ in range(count - 1):
        assert saved.seen is not None
        seen = replace(saved.seen[""], taken=saved.seen[""].taken + 10**9)
        generation, saved = await save(
            memory, generation, {"": root}, kind="build", seen={"": seen}
        )
    return generation, saved


async def test_what_is_too_young_to_be_touched_counts_as_used(tmp_path):
    generation, saved = await saves(Memory(), go_cache(tmp_path / "0", "a"), 4)
    assert (paths(generation), saved.trimmed) == ({"a"}, 0)


async def test_what_was_left_out_is_not_new_the_next_time(tmp_path):
    root = go_cache(tmp_path / "0", "a")
    os.utime(root / "00/a-d", (1, 1))
    for count in (3, 4, 5):
        generation, saved = await saves(Memory(), root, count)
        assert (paths(generation), saved.read) == (set(), 0)


async def test_a_file_with_another_name_is_not_trimmed_from_under_it(tmp_path):
    memory, root = Memory(), go_cache(tmp_path / "0", "a")
    (root / "other").hardlink_to(root / "00/a-d")
    generation, _ = await save(memory, None, {"": root}, kind="build")
    for number in (1, 2):
        generation, _ = await run(memory, generation, tmp_path / str(number), use="")
    (tmp_path / "to").mkdir()
    await restored(memory, generation, tmp_path / "to")
    assert (tmp_path / "to/other").read_bytes() == b"a" * 300


async def test_a_tool_that_does_not_show_its_use_keeps_everything(tmp_path):
    memory = Memory()
    root = fill(tmp_path / "0", {"a": b"1", "b": b"2"})
    generation, _ = await save(memory, None, {"": root}, kind="download")
    for number in (1, 2, 3):
        into = tmp_path / str(number)
        into.mkdir()
        back = await restored(memory, generation, into)
        generation, saved = await save(
            memory, generation, {"": into}, kind="download", seen={"": back}
        )
        assert (len(list(generation.entries())), saved.read) == (3, 0)


def test_caches_are_told_by_what_is_in_them(tmp_path):
    assert detect(go_cache(tmp_path / "go", "a")) is HABITS["go-build"]
    assert detect(fill(tmp_path / "npm", {"_cacache/x": b""})) is HABITS["npm"]
    assert detect(fill(tmp_path / "other", {"x": b""})) is HABITS["plain"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (".netrc", b""),
        ("a/credentials", b""),
        ("registry/credentials.toml", b""),
        (".docker/config.json", b"{}"),
        (".npmrc", b"//r/:_authToken=npm_abcdef\n"),
        (".npmrc", b"registry=http://user:hunter2@r/\n"),
        (".yarnrc.yml", b"npmAuthToken: 'abcdef'\n"),
        ("settings.xml", b"<server><password>hunter2</password></server>"),
        ("gradle.properties", b"mavenPassword=hunter2\n"),
        ("pip.conf", b"index-url = https://me:pw@host/simple\n"),
    ],
)
async def test_credentials_are_left_out_and_said(tmp_path, path, content):
    root = fill(tmp_path / "0", {path: content, "kept": b"1"})
    generation, saved = await save(Memory(), None, {"": root}, kind="download")
    assert path not in {e.path for e in generation.entries()}
    assert (path, "credentials") in saved.skipped


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("grpc/credentials/credentials.go", b"package credentials"),
        ("pkg/.npmrc", b"package-lock=false\n; _authToken=none\n"),
        ("pkg/.npmrc", b"//r/:_authToken=${NPM_TOKEN}\n"),
        ("pkg/config.json", b'{"token": "x"}'),
        ("settings.xml", b"<settings/>"),
    ],
)
async def test_ordinary_files_of_such_names_are_kept(tmp_path, path, content):
    root = fill(tmp_path / "0", {path: content})
    generation, _ = await save(Memory(), None, {"": root}, kind="download")
    assert path in {e.path for e in generation.entries()}


async def test_a_layer_of_the_engine_is_whole(tmp_path):
    root = fill(tmp_path / "0", {".netrc": b"machine x", "trim.txt": b""})
    generation, saved = await save(Memory(), None, {"1": root}, kind="results", exact=True)
    assert len(list(generation.entries("1"))) == 3
    assert not saved.skipped


def test_suspicion_needs_the_whole_name():
    assert suspicion(b"a/.netrc.example") == ""
    assert suspicion(b"x/.kube/config") == "always"
    assert suspicion(b"x/config") == ""
