"""Why commands run, as a session tells it: each cause alone, in a session of its own."""

import dagger
import pytest

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
