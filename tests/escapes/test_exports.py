"""What leaves the engine for the host, over links and names that somebody put there."""

import os
import tarfile

import dagger
import pytest

from tests.escapes.guard import SECRET
from tests.escapes.test_paths_of_images import hostile, outcome

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


@pytest.fixture
def out(tmp_path, guard):
    """A destination in which links to the guarded directory are in the way."""
    at = tmp_path / "out"
    at.mkdir()
    (at / "sub").symlink_to(guard.root)
    (at / "file").symlink_to(guard.root / "canary")
    (at / "dir").symlink_to(guard.root / "dir")
    return at


async def test_links_of_a_tree_leave_as_links(dag, guard, tmp_path):
    await hostile(dag.directory(), str(guard)).export(str(tmp_path / "new"))
    assert os.readlink(tmp_path / "new/l-in") == str(guard)


async def test_a_tree_is_not_exported_through_links_that_are_there(dag, guard, out):
    for name in ("sub/new", "sub/canary", "dir/below/canary"):
        tree = dag.directory().with_new_file(name, "new")
        assert "is a file or link, not a directory" in await outcome(tree.export(str(out)))
        guard.check()


async def test_a_file_replaces_the_link_that_is_there(dag, guard, out):
    await dag.directory().with_new_file("file", "new").export(str(out))
    assert (out / "file").read_text() == "new"
    assert not (out / "file").is_symlink()


async def test_a_tree_whose_own_links_were_exported_is_exported_again(dag, guard, tmp_path):
    """Two exports to one place: the first one's links are not the second one's way out."""
    at = str(tmp_path / "twice")
    await dag.directory().with_symlink(str(guard), "d").export(at)
    await outcome(dag.directory().with_new_file("d/canary", "new").export(at))
    guard.check()


async def test_a_wipe_removes_links_and_not_what_they_name(dag, guard, out):
    await dag.directory().with_new_file("only", "x").export(str(out), wipe=True)
    assert os.listdir(out) == ["only"]


@pytest.mark.parametrize("what", ["file", "image"])
async def test_files_and_images_replace_a_link_that_is_there(dag, guard, out, what):
    if what == "file":
        await dag.directory().with_new_file("f", "new").file("f").export(str(out / "file"))
    else:
        await dag.container().from_("busybox").export(str(out / "file"))
    guard.check()
    assert not (out / "file").is_symlink()
    assert SECRET not in (out / "file").read_text(errors="replace")


async def test_what_is_dangerous_on_the_host_stays_inside(dag, guard, tmp_path):
    script = "cp /bin/busybox /d/su; chmod 6755 /d/su; mknod /d/null c 1 3; mkfifo /d/pipe"
    box = dag.container().from_("busybox").with_new_file("/d/ok", "ok")
    made = box.with_exec(["sh", "-c", f"{script}; true"]).directory("/d")
    await made.export(str(tmp_path / "new"))
    assert sorted(os.listdir(tmp_path / "new")) == ["ok", "su"]
    assert os.stat(tmp_path / "new/su").st_mode & 0o7000 == 0


async def test_an_exported_image_has_no_names_that_leave_it(dag, guard, tmp_path):
    box = dag.container().from_("busybox")
    box = box.with_rootfs(hostile(box.rootfs(), str(guard))).with_new_file("/l-in/new", "new")
    await box.export(str(tmp_path / "i.tar"))
    with tarfile.open(tmp_path / "i.tar") as archive:
        layers = [m for m in archive if m.isfile() and m.name.startswith("blobs/")]
        names = []
        for member in layers:
            try:
                with tarfile.open(fileobj=archive.extractfile(member)) as inner:
                    names += [each.name for each in inner]
            except tarfile.ReadError:  # a document
                continue
    assert f"{guard}/new".lstrip("/") in names
    assert not any(name.startswith("/") or ".." in name.split("/") for name in names)
    back = dag.container().import_(dag.host().file(str(tmp_path / "i.tar")))
    assert await outcome(back.file("/l-in/new").contents()) == "new"


async def test_a_host_directory_is_read_without_following_its_links(dag, guard, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "link").symlink_to(guard.root)
    os.mkfifo(source / "pipe")
    tree = dag.host().directory(str(source))
    assert await tree.glob("**") == ["link"]
    assert (await outcome(tree.file("link/canary").contents())).startswith("error: ")


@pytest.mark.parametrize("path", ["../guarded", "link/../guarded", "a/../../guarded/canary"])
async def test_paths_with_dots_stay_in_their_directory(dag, guard, tmp_path, path):
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    tree = dag.host().directory(str(source)).with_symlink(str(guard), "link")
    for asked in (tree.directory(path).entries(), tree.file(path).contents()):
        assert (await outcome(asked)).startswith("error: ")
    written = tree.with_new_file(f"{path}/x", "x")
    await outcome(written.export(str(tmp_path / "elsewhere")))
    guard.check()


async def test_an_unmodified_error_is_a_query_error(dag):
    """`outcome` would hide another kind."""
    with pytest.raises(dagger.QueryError):
        await dag.directory().file("missing").contents()
