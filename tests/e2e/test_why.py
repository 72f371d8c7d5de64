"""Why commands run, as a session tells it: each cause alone, in a session of its own."""

import shutil

import dagger
import pytest

from tests.e2e.conftest import upkeep

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


@pytest.fixture
def told(session, tmp_path):
    """Run a command that reads a directory; give what kinds of reasons were told, and of what."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a")

    async def run(change=lambda box: box, command=("cat", "/src/a.txt")):
        async with session() as (dag, heard):
            read = dag.host().directory(str(source))
            box = dag.container().from_("busybox").with_mounted_directory("/src", read)
            await change(box).with_exec(list(command)).sync()
        events = [event for event in heard if event["event"] == "why"]
        return [(r["kind"], r.get("what", "")) for event in events for r in event["reasons"]]

    run.source = source
    return run


async def test_a_first_run_is_one_and_a_cached_one_has_no_reason(told):
    assert await told() == [("first run", "")]
    assert await told() == []


async def test_a_file_that_changed_came_or_went_is_named(told):
    await told()
    (told.source / "a.txt").write_text("b")
    assert await told() == [("file", "/src/a.txt")]
    (told.source / "new.txt").write_text("")
    assert await told() == [("file", "/src/new.txt")]
    # The likest earlier run counts, not the last: without the new file, only the mode is new.
    (told.source / "new.txt").unlink()
    (told.source / "a.txt").chmod(0o755)
    assert await told() == [("file", "/src/a.txt")]
    (told.source / "a.txt").rename(told.source / "b.txt")
    moved = await told(command=("ls", "/src"))
    assert moved == [("first run", "")]


async def test_what_was_answered_from_the_store_is_as_recent_as_what_ran(told):
    async def run(a, b):
        (told.source / "a.txt").write_text(a)
        (told.source / "b.txt").write_text(b)
        return await told()

    await run("1", "1")
    await run("2", "2")
    assert await run("1", "1") == []
    assert await run("1", "2") == [("file", "/src/b.txt")]
    assert await run("2", "2") == []
    assert await run("2", "3") == [("file", "/src/b.txt")]


async def test_a_variable_and_a_working_directory_are_named(told):
    await told()
    assert await told(lambda box: box.with_env_variable("A", "1")) == [("environment", "A")]
    assert await told(lambda box: box.with_workdir("/tmp")) == [("command", "working directory")]


async def test_a_root_that_another_command_changed_is_named(told):
    await told()
    changed = await told(lambda box: box.with_new_file("/x", "x"))
    assert changed == [("root", "the root filesystem")]


async def test_a_command_that_failed_runs_again_because_it_failed(session):
    kinds = []
    for _ in range(2):
        async with session() as (dag, heard):
            with pytest.raises(dagger.ExecError):
                await dag.container().from_("busybox").with_exec(["sh", "-c", "exit 1"]).sync()
        kinds += [r["kind"] for e in heard if e["event"] == "why" for r in e["reasons"]]
    assert kinds == ["first run", "failed"]


async def test_more_arguments_are_a_command_that_changed(told):
    await told()
    changed = await told(command=("cat", "/src/a.txt", "/etc/passwd"))
    assert changed == [("command", "arguments")]


async def test_an_image_that_changed_is_named(session, told, tmp_path):
    async with session() as (dag, _):
        other = dag.container().from_("busybox").with_new_file("/other", "")
        await other.as_tarball().export(str(tmp_path / "other.tar"))
    await told()
    async with session() as (dag, heard):
        image = dag.container().import_(dag.host().file(str(tmp_path / "other.tar")))
        read = dag.host().directory(str(told.source))
        changed = image.with_mounted_directory("/src", read)
        await changed.with_exec(["cat", "/src/a.txt"]).sync()
    kinds = [r["kind"] for e in heard if e["event"] == "why" for r in e["reasons"]]
    assert kinds == ["image"]


@pytest.mark.network
async def test_another_version_of_a_toolchain_is_a_reason_of_its_own(session, go_version):
    other = "1.26.1" if go_version != "1.26.1" else "1.26.0"
    told = []
    for version in (go_version, other, go_version):
        async with session() as (dag, heard):
            box = dag.container().from_(f"golang:{version}").with_exec(["go", "version"])
            assert f" go{version} " in await box.stdout()
        told.append([r for event in heard if event["event"] == "why" for r in event["reasons"]])
    first, changed, back = told
    assert [reason["kind"] for reason in first] == ["first run"]
    kinds = [(reason["kind"], reason.get("what", "")) for reason in changed]
    assert kinds == [("toolchain", ""), ("environment", "GOLANG_VERSION")]
    assert changed[0]["before"].startswith(f"golang:{go_version} ")
    assert changed[0]["after"].startswith(f"golang:{other} ")
    assert back == []


async def test_a_service_that_changed_is_named(session):
    found = []
    for word in ("one", "two"):
        async with session() as (dag, heard):
            box = dag.container().from_("busybox")
            www = box.with_new_file("/www/index.html", word).with_exposed_port(8080)
            service = www.as_service(args=["httpd", "-f", "-p", "8080", "-h", "/www"])
            bound = box.with_service_binding("www", service)
            await bound.with_exec(["wget", "-qO-", "http://www:8080"]).sync()
        found += [(r["kind"], r["what"]) for e in heard if e["event"] == "why"
                  for r in e["reasons"] if r["kind"] != "first run"]  # fmt: skip
    assert found == [("service", "www")]


@pytest.mark.parametrize(("keys", "count"), [(("k", "k"), 0), (("k1", "k2"), 1)])
async def test_a_secret_is_a_reason_by_its_key_and_never_by_its_value(session, keys, count):
    reasons = []
    for key, value in zip(keys, ("first-value", "second-value"), strict=True):
        async with session() as (dag, heard):
            secret = dag.secret(f"cmd://printf {value}", cache_key=key)
            box = dag.container().from_("busybox").with_secret_variable("TOKEN", secret)
            await box.with_exec(["sh", "-c", "test -n $TOKEN"]).sync()
        reasons.append([reason for e in heard if e["event"] == "why" for reason in e["reasons"]])
    assert len(reasons[1]) == count
    assert "-value" not in str(reasons)


async def test_a_volume_that_was_lost_is_told_and_records_stay_right(told, store):
    def with_volume(box):
        return box.with_mounted_cache("/c", dagger.dag.cache_volume("kept"))

    script = ("sh", "-c", "cat /src/a.txt > /c/f; ls /c")
    await told(with_volume, script)
    for volume in (store / "volumes").iterdir():
        shutil.rmtree(volume)
    assert await told(with_volume, script) == []
    (told.source / "a.txt").write_text("b")
    assert await told(with_volume, script) == [("file", "/src/a.txt"), ("cache volume", "kept")]


async def test_what_was_swept_from_the_store_is_told(told):
    await told()
    assert upkeep("prune", "--max-bytes", "0").returncode == 0
    assert await told() == [("evicted", "its result is no longer in the store")]
