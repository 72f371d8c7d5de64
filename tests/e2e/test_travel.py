"""Two machines that share nothing but a backend: what the second need not do."""

import contextlib

import pytest

from pipelines import connect
from pipelines._session import Session
from tests.e2e.conftest import Heard, remove, upkeep

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

SH = ["sh", "-c"]
BUILD = "echo $(cat /src/*) > /all; echo built >&2"
LINK = "cat /c/log; echo $1 >> /c/log; mkdir /o; (cat /all; head -c 9000 /dev/urandom) > /o/$1"


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """Give the directory that all machines share."""
    monkeypatch.setenv("PIPELINES_CACHE_URL", str(tmp_path / "shared"))
    monkeypatch.setenv("PIPELINES_CACHE_PROJECT", "test")
    monkeypatch.setenv("PIPELINES_CACHE_MODE", "always")  # such small volumes are not worth it
    return tmp_path / "shared"


@pytest.fixture
def machine(backend, tmp_path, monkeypatch):
    """Open a session on a machine of this name, with a store and a checkout of its own."""
    made = set()

    @contextlib.asynccontextmanager
    async def opened(name):
        made.add(root := tmp_path / name)
        source = root / "checkout"
        source.mkdir(parents=True, exist_ok=True)
        (source / "a.txt").write_text("a\n")
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        heard = Heard()
        async with connect(session=Session.start(listen=heard.append, workdir=root)) as dag:
            yield dag, source, heard

    yield opened
    for root in made:
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        verified = upkeep("verify")
        assert verified.returncode == 0, verified.stdout
        assert [p.name for p in (root / "cache/pipelines/active").iterdir()] == ["incoming"]
        remove(root / "cache")


def built(dag, source, name="one"):
    """Give a file that two commands make; the second uses a cache volume."""
    box = dag.container().from_("busybox").with_directory("/src", dag.host().directory(str(source)))
    base = box.with_exec([*SH, BUILD]).with_mounted_cache("/c", dag.cache_volume("c"))
    return base.with_exec([*SH, LINK, "sh", name])


def told(heard, state):
    return [e["cache"] for e in heard if e["event"] == "cache" and e["state"] == state]


async def test_an_unchanged_pipeline_runs_nothing_on_a_fresh_machine(machine, tmp_path):
    async with machine("one") as (dag, source, heard):
        await built(dag, source).file("/o/one").export(str(tmp_path / "first"))
        assert len(heard.ran) == 2
    async with machine("two") as (dag, source, heard):
        await built(dag, source).file("/o/one").export(str(tmp_path / "second"))
        assert heard.ran == []
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


async def test_what_an_edit_changes_runs_upon_what_travelled(machine):
    async with machine("one") as (dag, source, _):
        await built(dag, source, "one").sync()
    async with machine("two") as (dag, source, heard):
        said = await built(dag, source, "two").stdout()
    assert len(heard.ran) == 1, "the first command came from the other machine"
    assert said == "one\n", "so did the volume"
    assert told(heard, "restored") == ["volume c"]


async def test_what_a_later_machine_adds_is_there_for_the_next(machine):
    for name in ("one", "two", "three"):
        async with machine(name) as (dag, source, _):
            said = await built(dag, source, name).stdout()
    assert said == "one\ntwo\n"


async def test_streams_travel(machine):
    for name in ("one", "two"):
        async with machine(name) as (dag, _, heard):
            box = dag.container().from_("busybox")
            long = box.with_exec([*SH, "seq 1 9000; echo done >&2"])
            assert (await long.stdout()).endswith("9000\n")
            assert await long.stderr() == "done\n"
    assert heard.ran == []


async def test_what_no_longer_is_what_it_was_is_made_again(machine, backend, tmp_path):
    async with machine("one") as (dag, source, _):
        await built(dag, source).file("/o/one").export(str(tmp_path / "first"))
    for pack in (backend / "packs").iterdir():
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[::-1])
    async with machine("two") as (dag, source, heard):
        await built(dag, source).file("/o/one").export(str(tmp_path / "second"))
    assert len(heard.ran) == 2, "answered by records, whose content did not come"
    warned = [e["text"] for e in heard if e["event"] == "warning" and "travelling" in e["text"]]
    assert len(warned) == 1
    assert (tmp_path / "second").read_bytes()[:2] == b"a\n"


async def test_a_backend_that_is_no_directory_costs_a_warning(machine, backend):
    backend.write_text("not a directory")
    async with machine("one") as (dag, source, heard):
        assert await built(dag, source).stdout() == ""
    warned = [e["text"] for e in heard if e["event"] == "warning" and "travelling" in e["text"]]
    assert len(heard.ran) == 2
    assert len(warned) == 1


async def test_what_a_secret_was_written_into_stays_at_home(machine, backend):
    for name in ("one", "two"):
        async with machine(name) as (dag, _, heard):
            box = dag.container().from_("busybox")
            box = box.with_secret_variable("TOKEN", dag.set_secret("t", "tell-nobody-5711"))
            kept = box.with_exec([*SH, "echo $TOKEN > /kept"])
            assert "tell" in await kept.with_exec([*SH, "wc -c /kept; head -c 4 /kept"]).stdout()
            clean = box.with_exec([*SH, "echo ${#TOKEN} > /length"])
            assert await clean.file("/length").contents() == "16\n"
    assert len(heard.ran) == 2, "what is clean came, what is not and what is upon it did not"


async def test_unchanged_files_keep_their_times_on_another_machine(machine):
    """Go's test cache, make and cargo go by them."""
    seen = {}
    for name, text in (("one", "b\n"), ("two", "b\n"), ("three", "c\n")):
        async with machine(name) as (dag, source, _):
            (source / "b.txt").write_text(text)
            files = dag.host().directory(str(source))
            box = dag.container().from_("busybox").with_directory("/src", files)
            said = await box.with_exec([*SH, f"stat -c %y /src/a.txt /src/b.txt # {name}"]).stdout()
            seen[name] = said.splitlines()
    assert seen["two"] == seen["one"]
    assert seen["three"][0] == seen["one"][0]
    assert seen["three"][1] > seen["one"][1], "changed content is new"


async def test_a_fresh_machine_tells_which_file_made_a_command_run(machine):
    for name in ("one", "two"):
        async with machine(name) as (dag, source, heard):
            (source / "a.txt").write_text(f"{name}\n")
            await built(dag, source).stdout()
    reasons = [r for e in heard if e["event"] == "why" for r in e["reasons"]]
    assert "first run" not in {reason["kind"] for reason in reasons}


async def test_what_came_once_is_this_machine_s_own(machine, backend, tmp_path):
    for name in ("one", "two"):
        async with machine(name) as (dag, source, _):
            await built(dag, source).file("/o/one").export(str(tmp_path / name / "out"))
    backend.rename(tmp_path / "away")
    async with machine("two") as (dag, source, heard):
        await built(dag, source).file("/o/one").export(str(tmp_path / "two" / "again"))
    assert heard.ran == []
    assert told(heard, "fetched") == []
