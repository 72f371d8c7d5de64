"""What is seeded and saved, by a stand-in for the engine; two runs share a backend alone."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import anyio
import pytest
from graphql import parse

from pipelines._spans import listener, recorded
from pipelines._travel.opening import travelling
from pipelines.caches.settings import Settings
from tests.caches.trees import describe
from tests.travel.engine import Engine, Refused

pytestmark = pytest.mark.anyio
LOCAL = {"PIPELINES_CACHE_SCOPE": "local"}


class Session:
    """A session as the SDK has it."""

    def __init__(self, engine):
        self.engine = engine

    async def execute(self, query):
        return await self.engine(query.document)


class Query:
    variable_values = None

    def __init__(self, text):
        self.document = parse(text)


class Run:
    """A run on an engine: what it asks and hears."""

    def __init__(self, session, heard):
        self.session = session
        self.heard = heard

    def execute(self, query):
        return self.session.execute(query)

    async def volume(self, key):
        asked = Query(f'{{ cacheVolume(key: "{key}") {{ id }} }}')
        return (await self.execute(asked))["cacheVolume"]["id"]

    async def sh(self, key, command, chain="container", leaf="stdout"):
        mounted = f'withMountedCache(path: "/v", cache: "{await self.volume(key)}")'
        script = json.dumps(["sh", "-c", command])
        return await self.execute(
            Query(f"{{ {chain} {{ {mounted} {{ withExec(args: {script}) {{ {leaf} }} }} }} }}")
        )

    def told(self, state):
        return [e["cache"] for e in self.heard if e.get("state") == state]

    @property
    def warned(self):
        return [e["text"] for e in self.heard if e["event"] == "warning"]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def machine(tmp_path):
    """Give a function that begins a run on a machine and an engine, by default fresh ones."""

    @contextlib.asynccontextmanager
    async def begun(name, environ=LOCAL, engine=None, **settings):
        found = Settings(**{"url": str(tmp_path / "shared"), "mode": "always", **settings})
        (tmp_path / name).mkdir(exist_ok=True)
        session = Session(engine or Engine(tmp_path / name / "volumes"))
        heard = []
        async with travelling(session, found, tmp_path / name / "store", environ, heard.append):
            yield Run(session, heard)
        assert os.listdir(tmp_path / name / "store/travelling") == []

    return begun


async def test_a_fresh_machine_has_what_another_has_saved(machine):
    async with machine("one") as run:
        await run.sh("v", "mkdir d; echo a > d/a; ln d/a d/hard; ln -s a d/soft; chmod 700 d")
        one = describe(Path(await run.volume("v")))
    async with machine("two") as run:
        two = describe(Path(await run.volume("v")))
    assert run.told("restored") == ["volume v"]
    assert {k: v for k, v in two.items() if k} == {k: v for k, v in one.items() if k}


async def test_nothing_is_listed_of_a_volume_that_nobody_mounts(machine):
    async with machine("one") as run:
        await run.volume("v")
    assert run.session.engine.runs == 0
    assert run.told("saved") == []


async def test_what_did_not_change_is_not_saved_again(machine):
    async with machine("one") as run:
        await run.sh("v", "echo a > a")
    async with machine("two") as run:
        await run.sh("v", "cat a")
    assert run.told("saved") == []


async def test_two_at_once_restore_a_volume_once_and_save_the_union(machine):
    async with machine("one") as run:
        await run.sh("npm", "echo a > a")
    async with machine("two") as two, machine("three") as three:
        async with anyio.create_task_group() as group:
            for name in "bcd":
                group.start_soon(two.sh, "npm", f"echo {name} > {name}")
        await three.sh("npm", "echo e > e")
    assert two.told("restored") == ["volume npm"]
    async with machine("four") as run:
        found = (await run.sh("npm", "ls"))["container"]["withMountedCache"]["withExec"]["stdout"]
    assert found.split() == list("abcde")


async def test_volumes_that_do_not_travel_are_left_alone(machine):
    async with machine("one", exclude=("v",)) as run:
        await run.sh("v", "echo a > a")
    assert run.heard == []


@pytest.mark.parametrize("mode", ["read-only", "never"])
async def test_the_mode_says_what_is_done(machine, mode):
    async with machine("one") as run:
        await run.sh("v", "echo a > a")
    async with machine("two", mode=mode) as run:
        await run.sh("v", "echo b > b")
    assert (run.told("restored") != [], run.told("saved") != []) == (
        mode == "read-only", mode == "never"
    )  # fmt: skip


async def test_a_pull_request_reads_what_is_trusted_and_writes_its_own(machine):
    def scope(name):
        return {"PIPELINES_CACHE_SCOPE": name}

    async with machine("one", scope("trusted"), scope="trusted") as run:
        await run.sh("v", "echo good > a")
    async with machine("two", scope("pr/7"), scope="pr/7") as run:
        await run.sh("v", "cat a && echo bad > b")
    async with machine("three", scope("trusted"), scope="trusted") as run:
        await run.sh("v", "test ! -e b")
    async with machine("four", scope("none"), scope="none") as run:
        await run.sh("v", "echo c > c")
    assert run.told("unsaved") == [""]
    assert run.told("saved") == []


async def test_a_backend_that_is_down_is_one_warning_and_a_miss(machine, tmp_path):
    (tmp_path / "shared").write_bytes(b"not a directory")
    async with machine("one") as run:
        await run.sh("v", "echo a > a")
        await run.sh("w", "echo a > a")
    assert len(run.warned) == 1


@pytest.mark.parametrize("refused", ["import", "export", "rootfs"])
async def test_an_engine_that_refuses_the_cache_s_own_requests_is_a_miss(
    machine, tmp_path, refused
):
    async with machine("one") as run:
        await run.sh("npm", "echo a > a")

    def fault(names):
        return Refused("no") if refused in names and "stdout" not in names else None

    async with machine("two", engine=Engine(tmp_path / "two" / "volumes", fault)) as run:
        await run.sh("npm", "echo b > b")
    assert len(run.warned) == 1
    async with machine("three") as run:
        await run.sh("npm", "cat a")


async def test_damage_is_a_miss_and_heals_with_the_next_save(machine, tmp_path):
    async with machine("one") as run:
        await run.sh("v", "echo a > a")
    for pack in (tmp_path / "shared/packs").iterdir():
        pack.write_bytes(pack.read_bytes()[:-1] + b"x")
    async with machine("two") as run:
        await run.sh("v", "test ! -e a; echo b > b")
    assert len(run.warned) == 1
    assert run.told("saved") == ["volume v"]


async def test_a_failed_run_saves_and_asks_for_no_container_that_may_not_be_made(machine):
    async with machine("one") as run:
        await run.sh("v", "echo a > a")
        with pytest.raises(Refused):
            await run.sh("v", "echo b > b; false")
        with pytest.raises(Refused):
            await run.sh("w", "echo b > b; false", chain="container")
    assert run.told("saved") == ["volume v", "volume w"]


async def test_only_what_a_run_asked_for_is_made_to_list_a_volume(machine):
    made = 'node(id: "deploy")'
    async with machine("one") as run:
        await run.sh("v", "echo a > a", chain=made, leaf="id")
        with pytest.raises(Refused):
            await run.sh("v", "false", chain=made)
    assert not [names for names in run.session.engine.asked if names[-2:] == ["rootfs", "id"]]
    assert run.told("skipped") == ["volume v"]


async def test_a_run_that_is_cancelled_saves_nothing(machine):
    with anyio.CancelScope() as scope:
        async with machine("one") as run:
            await run.sh("v", "echo a > a")
            scope.cancel()
            await anyio.sleep(1)
    assert run.told("saved") == []


async def test_what_killed_runs_left_is_taken_away(machine, tmp_path):
    old = tmp_path / "one/store/travelling/999999999-x"
    old.mkdir(parents=True)
    async with machine("one"):
        assert not old.exists()


async def test_an_engine_that_keeps_its_volumes_is_seeded_no_more_than_twice(machine, tmp_path):
    async with machine("other") as run:
        await run.sh("v", "echo 0 > 0")
    engine, restored = Engine(tmp_path / "kept" / "volumes"), []
    for name in "abcd":
        async with machine("mine", engine=engine) as run:
            await run.sh("v", f"ls; echo {name} > {name}")
        restored.append(run.told("restored") != [])
    assert restored == [True, True, False, False]
    async with machine("last") as run:
        await run.sh("v", "test -e 0 -a -e a -a -e b -a -e c -a -e d")


async def test_what_was_saved_first_from_an_engine_is_not_restored_there(machine, tmp_path):
    engine = Engine(tmp_path / "kept" / "volumes")
    for name in "ab":
        async with machine("mine", engine=engine) as run:
            await run.sh("v", f"echo {name} > {name}")
        assert run.told("restored") == []
    assert run.told("saved") == ["volume v"]


async def test_an_engine_that_has_lost_a_volume_is_seeded_again(machine, tmp_path):
    engine = Engine(tmp_path / "kept" / "volumes")
    async with machine("mine", engine=engine) as run:
        await run.sh("npm", "echo a > a")
    shutil.rmtree(engine.home)
    async with machine("mine", engine=engine) as run:
        await run.sh("npm", "test ! -e a; echo b > b")
    async with machine("mine", engine=engine) as run:
        await run.sh("npm", "cat a b")
    assert run.told("restored") == ["volume npm"]


async def test_whoever_records_the_run_hears_of_caches():
    class Recorder:
        def listen(self, event):
            raise NotImplementedError

    recorder = Recorder()
    with recorded(recorder):
        assert listener() == recorder.listen
    assert listener() is None
