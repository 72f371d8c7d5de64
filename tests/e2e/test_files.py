"""Files, and the containers that hold them, as an SDK client sees them."""

import hashlib
import os

import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]


@pytest.fixture
def text(dag):
    return dag.file("text", "one\ntwo\nthree\n")


async def test_what_is_in_a_file(text):
    assert await text.contents() == "one\ntwo\nthree\n"
    assert await text.contents(offset_lines=1, limit_lines=1) == "two\n"
    assert (await text.name(), await text.size()) == ("text", 14)


async def test_the_digest_without_metadata_is_the_contents(text):
    expected = hashlib.sha256(b"one\ntwo\nthree\n").hexdigest()
    assert await text.digest(exclude_metadata=True) == f"sha256:{expected}"
    assert await text.digest() != await text.with_name("other").digest()


async def test_a_file_is_renamed_and_edited(text):
    edited = text.with_name("renamed").with_replaced("two", "2")
    assert await edited.name() == "renamed"
    assert await edited.contents() == "one\n2\nthree\n"


async def test_replacing_what_is_not_there_is_an_error(text):
    with pytest.raises(dagger.QueryError):
        await text.with_replaced("four", "4").contents()


async def test_a_file_is_exported_to_a_path(text, tmp_path):
    assert await text.with_timestamps(1_000_000_000).export(str(tmp_path / "new/file")) == str(
        tmp_path / "new/file"
    )
    assert (tmp_path / "new/file").read_text() == "one\ntwo\nthree\n"
    assert (tmp_path / "new/file").stat().st_mtime == 1_000_000_000


async def test_a_file_is_exported_into_a_directory_if_allowed(text, tmp_path):
    with pytest.raises(dagger.QueryError):
        await text.export(str(tmp_path))
    await text.export(str(tmp_path), allow_parent_dir_path=True)
    assert (tmp_path / "text").exists()


async def test_a_file_describes_itself(dag):
    stat = dag.file("f", "12345", permissions=0o640).stat()
    assert (await stat.name(), await stat.size(), await stat.permissions()) == ("f", 5, 0o640)
    assert await stat.file_type() == dagger.FileType.REGULAR


async def test_a_name_is_no_path(dag):
    with pytest.raises(dagger.QueryError, match="a/b"):
        await dag.file("a/b", "").contents()


async def test_ids_find_their_objects_again(dag, text):
    found = dag.load_file_from_id(dagger.FileID(await text.id()))
    assert await found.contents() == await text.contents()


@pytest.mark.sandbox
async def test_containers_take_files_in_every_way(dag, text):
    box = (
        dag.container()
        .from_("busybox")
        .with_file("/f/one", text, permissions=0o600)
        .with_files("/f/more", [text, text.with_name("other")])
        .with_new_file("/f/new", "new", permissions=0o755)
        .with_directory("/f/dir", dag.directory().with_new_file("x", "x"), exclude=["y"])
        .with_symlink("one", "/f/link")
        .with_mounted_file("/f/mounted", text)
    )
    shown = await box.with_exec(["sh", "-c", "cd /f; find . -type f | sort; cat link"]).stdout()
    found = ["dir/x", "more/other", "more/text", "mounted", "new", "one"]
    assert shown.splitlines() == [*(f"./{name}" for name in found), "one", "two", "three"]
    left = box.without_mount("/f/mounted").without_file("/f/one").without_directory("/f/more")
    left = left.without_files(["/f/link", "/f/new"])
    assert await left.directory("/f").glob("**/*") in (["dir/x"], ["dir/", "dir/x"])


@pytest.mark.sandbox
async def test_a_container_tells_what_exists(dag, text):
    box = dag.container().from_("busybox").with_mounted_file("/m", text).with_new_file("/n", "12")
    assert await box.exists("/m", expected_type=dagger.ExistsType.REGULAR_TYPE)
    assert not await box.exists("/nope")
    assert await box.stat("/n").size() == 2
    with pytest.raises(dagger.QueryError, match="nope: no such file or directory"):
        await box.file("/nope").contents()


@pytest.mark.sandbox
async def test_relative_paths_start_from_the_working_directory(dag):
    box = dag.container().from_("busybox").with_workdir("/w").with_new_file("f", "1")
    assert await box.file("/w/f").contents() == "1"
    named = box.with_env_variable("NAME", "g").with_new_file("${NAME}", "2", expand=True)
    assert await named.file("g").contents() == "2"


@pytest.mark.sandbox
async def test_a_root_filesystem_is_replaced(dag):
    box = dag.container().from_("busybox").with_new_file("/marker", "1")
    again = dag.container().with_rootfs(box.rootfs())
    assert await again.with_exec(["/bin/busybox", "cat", "/marker"]).stdout() == "1"
    trimmed = dag.container().with_rootfs(box.rootfs().filter(exclude=["marker"]))
    ran = trimmed.with_exec(["/bin/busybox", "sh", "-c", "test -e /marker || echo gone"])
    assert await ran.stdout() == "gone\n"


@pytest.mark.sandbox
async def test_owners_by_name_come_from_the_image(dag, text):
    if os.geteuid() != 0:
        pytest.skip("other owners need root or subordinate ids")
    box = (
        dag.container()
        .from_("busybox")
        .with_new_file("/etc/passwd", "root:x:0:0::/:/bin/sh\nbob:x:77:88::/:/bin/sh\n")
        .with_new_file("/etc/group", "root:x:0:\nstaff:x:99:\n")
        .with_file("/one", text, owner="bob")
        .with_new_file("/two", "", owner="bob:staff")
        .with_mounted_directory("/m", dag.directory().with_new_file("f", ""), owner="5:6")
    )
    shown = box.with_exec(["stat", "-c", "%u:%g", "/one", "/two", "/m/f"])
    assert await shown.stdout() == "77:77\n77:99\n5:6\n"


@pytest.mark.sandbox
async def test_a_file_of_another_kind_is_an_error(dag):
    box = dag.container().from_("busybox")
    with pytest.raises(dagger.QueryError):
        await box.file("/bin").contents()
    with pytest.raises(dagger.QueryError):
        await box.directory("/bin/busybox").entries()
