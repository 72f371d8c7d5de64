import os
from pathlib import Path

import pytest

from pipelines.engine.errors import PathError
from pipelines.engine.snapshots import inroot


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "etc/sub").mkdir(parents=True)
    (made / "etc/hosts").write_text("inside")
    (tmp_path / "hosts").write_text("outside")
    for name, target in {
        "abs": "/etc",
        "up": "../../../etc",
        "loop": "loop",
        "dangling": "/var/lib/new",
        "host": "/../../../../../../../../../../etc/hosts",
    }.items():
        (made / name).symlink_to(target)
    return made


@pytest.mark.parametrize(
    "path",
    [
        "etc/hosts",
        "/etc/hosts",
        "abs/hosts",
        "up/hosts",
        "host",
        "../../etc/hosts",
        "etc/sub/../hosts",
    ],
)
def test_every_way_to_a_file_stays_inside(root: Path, path: str) -> None:
    assert inroot.resolve(root, path) == "/etc/hosts"
    descriptor = inroot.open_file(root, path, os.O_RDONLY)
    assert os.read(descriptor, 100) == b"inside"
    os.close(descriptor)


def test_the_root_is_the_root(root: Path) -> None:
    assert [inroot.resolve(root, path) for path in ("", "/", ".", "..")] == ["/"] * 4


def test_links_that_do_not_end_are_an_error(root: Path) -> None:
    with pytest.raises(PathError, match="loop/x: too many levels of symbolic links"):
        inroot.resolve(root, "loop/x")
    with pytest.raises(PathError, match="too many levels"):
        inroot.mkdirs(root, "loop/x")
    assert not inroot.exists(root, "loop")


def test_links_of_proc_lead_nowhere(root: Path) -> None:
    with pytest.raises(PathError):
        inroot.open_file(Path("/proc"), "self/root/etc/hosts", os.O_RDONLY)


def test_what_is_missing_is_said(root: Path) -> None:
    with pytest.raises(PathError, match="etc/none: no such file or directory"):
        inroot.resolve(root, "etc/none")
    with pytest.raises(PathError, match="not a directory"):
        inroot.open_file(root, "etc/hosts/x", os.O_RDONLY)


def test_a_link_can_be_looked_at_itself(root: Path) -> None:
    assert inroot.readlink(root, "abs") == "/etc"
    assert inroot.status(root, "abs", follow=False).st_ino != inroot.status(root, "abs").st_ino
    assert inroot.exists(root, "loop", follow=False)
    with pytest.raises(PathError, match="is not a symbolic link"):
        inroot.readlink(root, "etc")


def test_mkdirs_follows_links_inside_and_makes_the_rest(root: Path) -> None:
    assert inroot.mkdirs(root, "/up/a/b") == "/etc/a/b"
    assert inroot.mkdirs(root, "dangling/x", 0o700) == "/var/lib/new/x"
    assert (root / "var/lib/new/x").stat().st_mode & 0o777 == 0o700


def test_mkdirs_does_not_go_through_a_file(root: Path) -> None:
    with pytest.raises(PathError, match="/etc/hosts is in the way"):
        inroot.mkdirs(root, "etc/hosts/x")


def test_a_stub_is_made_and_taken_away_with_its_parents(root: Path) -> None:
    one = inroot.stub(root, "/abs/new/file", "file")
    two = inroot.stub(root, "/srv/cache", "dir")
    assert (one.path, two.path) == ("/etc/new/file", "/srv/cache")
    inroot.unstub(root, [one, two])
    assert sorted(os.listdir(root / "etc")) == ["hosts", "sub"]
    assert not (root / "srv").exists()


def test_what_was_there_is_no_stub(root: Path) -> None:
    stub = inroot.stub(root, "/etc/hosts", "file")
    assert stub == inroot.Stub("/etc/hosts")
    inroot.unstub(root, [stub])
    assert (root / "etc/hosts").exists()


def test_a_stub_of_another_kind_is_refused(root: Path) -> None:
    with pytest.raises(PathError, match="a directory is needed"):
        inroot.stub(root, "/etc/hosts", "dir")
    with pytest.raises(PathError, match="a file is needed"):
        inroot.stub(root, "/etc/sub", "file")


def test_a_stub_that_was_used_stays(root: Path) -> None:
    stubs = [inroot.stub(root, "/a/full", "dir"), inroot.stub(root, "/b", "file")]
    (root / "a/full/x").touch()
    (root / "b").write_text("used")
    inroot.unstub(root, stubs)
    assert (root / "a/full/x").exists()
    assert (root / "b").read_text() == "used"


def test_a_stub_that_was_replaced_stays(root: Path, tmp_path: Path) -> None:
    stub = inroot.stub(root, "/a/b", "dir")
    keep = tmp_path / "keep"
    (root / "a/b").rename(keep)  # keeps the inode number taken
    (root / "a/b").mkdir()
    inroot.unstub(root, [stub])
    assert (root / "a/b").exists()


def test_removing_stubs_does_not_follow_links_out(root: Path, tmp_path: Path) -> None:
    stub = inroot.stub(root, "/a/b", "dir")
    outside = tmp_path / "a/b"
    outside.mkdir(parents=True)
    (root / "a/b").rmdir()
    (root / "a").rmdir()
    (root / "a").symlink_to("../a")
    inroot.unstub(root, [stub])
    assert outside.exists()


@pytest.mark.parametrize("path", ["etc/hosts\0x", "etc/" + "n" * 300])
def test_impossible_names_are_path_errors(root: Path, path: str) -> None:
    with pytest.raises(PathError):
        inroot.resolve(root, path)
    with pytest.raises(PathError):
        inroot.mkdirs(root, path)
