"""The host's directories and files, as an SDK client sees them."""

import os
import shutil
import socket
import subprocess

import dagger
import pytest

from pipelines._session import Session, command

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    (root / "sub/deep").mkdir(parents=True)
    for name in ("a.go", "b.txt", "sub/c.go", "sub/deep/d.go"):
        (root / name).write_text(name)
    return root


async def test_a_directory_is_read_with_modes_and_links(dag, source):
    (source / "a.go").chmod(0o755)
    (source / "l").symlink_to("sub/c.go")
    read = dag.host().directory(str(source))
    assert await read.entries() == ["a.go", "b.txt", "l", "sub/"]
    assert await read.stat("a.go").permissions() == 0o755
    assert await read.file("l").contents() == "sub/c.go"


async def test_include_and_exclude_choose(dag, source):
    read = dag.host().directory(str(source), include=["**/*.go"], exclude=["sub/deep"])
    assert await read.glob("**/*.go") == ["a.go", "sub/c.go"]
    assert await read.entries() == ["a.go", "sub/"]


async def test_gitignore_is_obeyed_when_asked_for(dag, source):
    subprocess.run(["git", "init", "-q", source], check=True)
    (source / ".gitignore").write_text("*.txt\n")
    (source / "sub/.gitignore").write_text("deep/\n")
    read = dag.host().directory(str(source), gitignore=True, exclude=[".git"])
    assert await read.glob("**/*.go") == ["a.go", "sub/c.go"]
    assert not await read.exists("b.txt")
    assert await dag.host().directory(str(source)).exists("b.txt")


async def test_a_directory_is_read_once_a_session_unless_told_otherwise(dag, source):
    host = dag.host()
    assert await host.directory(str(source)).file("a.go").contents() == "a.go"
    (source / "a.go").write_text("changed")
    assert await host.directory(str(source)).file("a.go").contents() == "a.go"
    assert await host.directory(str(source), no_cache=True).file("a.go").contents() == "changed"
    assert await host.file(str(source / "b.txt"), no_cache=True).contents() == "b.txt"


async def test_what_is_not_there_is_named(dag, source):
    for asked in (dag.host().directory(str(source / "nope")), dag.host().file(str(source / "no"))):
        with pytest.raises(dagger.QueryError, match=r"source/no(pe)?: No such file"):
            await asked.sync()


async def test_a_file_is_no_directory(dag, source):
    with pytest.raises(dagger.QueryError, match=r"source/a.go: Not a directory"):
        await dag.host().directory(str(source / "a.go")).sync()


async def test_links_out_of_the_directory_stay_links(dag, source, tmp_path):
    (tmp_path / "secret").write_text("of the host")
    (source / "up").symlink_to("../secret")
    (source / "away").symlink_to(tmp_path / "secret")
    read = dag.host().directory(str(source))
    for name in ("up", "away"):
        with pytest.raises(dagger.QueryError, match=f"{name}: no such file"):
            await read.file(name).contents()
    await read.export(str(tmp_path / "out"))
    assert os.readlink(tmp_path / "out/up") == "../secret"


async def test_a_loop_of_links_is_no_trouble(dag, source):
    (source / "loop").symlink_to(".")
    (source / "one").symlink_to("two")
    (source / "two").symlink_to("one")
    read = dag.host().directory(str(source))
    assert await read.glob("**/c.go") == ["sub/c.go"]
    with pytest.raises(dagger.QueryError, match="one"):
        await read.file("one").contents()


async def test_pipes_and_sockets_are_left_out_with_a_warning(store, source, monkeypatch):
    from pipelines import connect

    os.mkfifo(source / "pipe")
    monkeypatch.chdir(source)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        heard = []
        session = Session.start(listen=heard.append)
        async with connect(session=session) as dag:
            assert await dag.host().directory(".").entries() == ["a.go", "b.txt", "sub/"]
    warnings = sorted(event["text"] for event in heard if event["event"] == "warning")
    assert [text.split(" is left out")[0].rpartition("/")[2] for text in warnings] == [
        "pipe",
        "socket",
    ]


async def test_what_can_not_be_read_is_named(store, source):
    """Root reads everything, so it first gives up the capability to."""
    from pipelines import connect

    if os.geteuid() != 0:
        pytest.skip("root of a user namespace reads all that the user owns")

    (source / "b.txt").chmod(0)
    program = command()
    if os.geteuid() == 0:
        if not (setpriv := shutil.which("setpriv")):
            pytest.skip("setpriv is not installed")
        lost = "-dac_override,-dac_read_search"
        program = [setpriv, "--bounding-set", lost, "--inh-caps", lost, *program]
    async with connect(session=Session.start(program=program)) as dag:
        with pytest.raises(dagger.QueryError, match=r"source/b.txt: Permission denied"):
            await dag.host().directory(str(source)).sync()
        assert await dag.host().directory(str(source), exclude=["b.txt"]).exists("a.go")


@pytest.mark.sandbox
async def test_a_command_sees_the_directory(dag, source):
    box = dag.container().from_("busybox").with_directory("/src", dag.host().directory(str(source)))
    found = await box.with_exec(["find", "/src", "-type", "f"]).stdout()
    names = ["a.go", "b.txt", "sub/c.go", "sub/deep/d.go"]
    assert sorted(found.split()) == [f"/src/{name}" for name in names]


@pytest.mark.sandbox
async def test_what_changes_after_it_was_read_is_an_error_or_the_old_content(dag, source):
    read = dag.host().directory(str(source))
    await read.sync()
    (source / "a.go").write_text("other")
    box = dag.container().from_("busybox").with_directory("/src", read)
    with pytest.raises(dagger.QueryError, match=r"a.go.*changed"):
        await box.with_exec(["cat", "/src/a.go"]).stdout()
