"""Directories, as an SDK client sees them."""

import os

import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]


@pytest.fixture
def some(dag):
    return (
        dag.directory()
        .with_new_file("a.txt", "a")
        .with_new_file("b.go", "b")
        .with_new_file("sub/c.go", "c")
        .with_new_file("sub/deep/d.md", "d")
    )


async def test_entries_mark_directories(some):
    assert await some.entries() == ["a.txt", "b.go", "sub/"]
    assert await some.entries(path="sub") == ["c.go", "deep/"]


async def test_entries_of_what_is_not_there_is_an_error(some):
    with pytest.raises(dagger.QueryError, match="nope: no such file or directory"):
        await some.entries(path="nope")


async def test_a_file_that_is_not_there_is_an_error(some):
    with pytest.raises(dagger.QueryError, match="nope: no such file or directory"):
        await some.file("nope").contents()


async def test_glob_matches_across_directories(some):
    assert await some.glob("**/*.go") == ["b.go", "sub/c.go"]
    assert await some.glob("*.go") == ["b.go"]


async def test_filter_keeps_what_is_included_and_not_excluded(some):
    kept = some.filter(include=["**/*.go"], exclude=["sub"])
    assert await kept.glob("**") == ["b.go"]


async def test_filter_obeys_gitignore(some):
    ignoring = some.with_new_file(".gitignore", "*.go\n!b.go\n").filter(gitignore=True)
    assert await ignoring.exists("b.go")
    assert not await ignoring.exists("sub/c.go")


async def test_copies_merge_and_filter(dag, some):
    merged = dag.directory().with_new_file("dst/sub/e", "e").with_directory("dst", some)
    assert await merged.directory("dst/sub").entries() == ["c.go", "deep/", "e"]
    only = dag.directory().with_directory("dst", some, include=["*.txt"], exclude=["b*"])
    assert await only.directory("dst").entries() == ["a.txt"]


async def test_files_are_put_at_a_path_or_into_a_directory(dag, some):
    put = (
        dag.directory()
        .with_file("x/renamed", some.file("a.txt"), permissions=0o600)
        .with_file("y/", some.file("a.txt"))
        .with_files("z", [some.file("a.txt"), some.file("b.go")])
    )
    assert await put.glob("*/*") == ["x/renamed", "y/a.txt", "z/a.txt", "z/b.go"]
    assert await put.stat("x/renamed").permissions() == 0o600


async def test_new_directories_and_links(dag):
    made = dag.directory().with_new_directory("d", permissions=0o700).with_symlink("d", "l")
    assert await made.entries() == ["d/", "l"]
    assert await made.stat("l", do_not_follow_symlinks=True).file_type() == dagger.FileType.SYMLINK
    assert await made.stat("l").file_type() == dagger.FileType.DIRECTORY
    assert await made.stat("d").permissions() == 0o700


async def test_exists_asks_for_a_type(dag, some):
    linked = some.with_symlink("a.txt", "l").with_symlink("gone", "dangling")
    assert await linked.exists("l", expected_type=dagger.ExistsType.SYMLINK_TYPE)
    assert await linked.exists("l", expected_type=dagger.ExistsType.REGULAR_TYPE)
    assert not await linked.exists("sub", expected_type=dagger.ExistsType.REGULAR_TYPE)
    assert await linked.exists("dangling", do_not_follow_symlinks=True)
    assert not await linked.exists("dangling")


async def test_what_is_removed_is_gone(some):
    left = some.without_directory("sub/deep").without_file("a.txt").without_files(["b.go"])
    assert await left.glob("**/*") in (["sub/c.go"], ["sub/", "sub/c.go"])


async def test_removing_what_is_not_there_changes_nothing(some):
    assert await some.without_directory("nope").digest() == await some.digest()


async def test_diff_keeps_what_the_other_has_otherwise(dag, some):
    other = some.with_new_file("a.txt", "changed").with_new_file("new", "n").without_file("b.go")
    shown = some.diff(other)
    assert await shown.entries() == ["a.txt", "new"]


async def test_equal_contents_have_equal_digests_however_they_came(dag, some):
    one = dag.directory().with_new_file("x", "1").with_new_file("y", "2")
    two = dag.directory().with_new_file("y", "2").with_new_file("x", "1")
    assert await one.digest() == await two.digest() != await some.digest()
    assert (await one.digest()).startswith("sha256:")


async def test_digests_see_modes_and_pinned_times(dag):
    plain = dag.directory().with_new_file("x", "1")
    assert await plain.with_timestamps(7).digest() != await plain.digest()  # it was asked for
    executable = dag.directory().with_new_file("x", "1", permissions=0o755)
    assert await executable.digest() != await plain.digest()


async def test_names_and_find_up(some):
    assert await some.name() == "/"
    assert await some.directory("sub/deep").name() == "deep/"
    assert await some.find_up("a.txt", "sub/deep") == "a.txt"


async def test_an_error_of_the_callers_own_is_raised(some):
    with pytest.raises(dagger.QueryError, match="mine"):
        await some.with_error("mine").sync()


async def test_no_path_leaves_its_directory(some):
    inner = some.directory("sub").with_new_file("../../up", "x")
    with pytest.raises(dagger.QueryError):
        await inner.entries()
    with pytest.raises(dagger.QueryError):
        await some.directory("sub").file("../a.txt").contents()


async def test_links_are_followed_inside_only(dag, tmp_path):
    (tmp_path / "outside").write_text("of the host")
    linked = dag.directory().with_symlink(str(tmp_path / "outside"), "l")
    with pytest.raises(dagger.QueryError, match="l: no such file"):
        await linked.file("l").contents()


async def test_a_loop_of_links_is_an_error(dag):
    looped = dag.directory().with_symlink("b", "a").with_symlink("a", "b")
    with pytest.raises(dagger.QueryError, match=r"a: .*(symbolic|symlink|link)"):
        await looped.file("a").contents()


async def test_export_merges(some, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept").write_text("kept")
    (out / "a.txt").write_text("old")
    assert await some.export(str(out)) == str(out)
    assert sorted(os.listdir(out)) == ["a.txt", "b.go", "kept", "sub"]
    assert (out / "a.txt").read_text() == "a"


async def test_export_with_wipe_replaces(some, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "gone").write_text("gone")
    (out / "sub").write_text("was a file")
    await some.export(str(out), wipe=True)
    assert sorted(os.listdir(out)) == ["a.txt", "b.go", "sub"]
    assert (out / "sub/deep/d.md").read_text() == "d"


async def test_export_writes_nothing_outside(dag, tmp_path):
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "link").symlink_to(outside)
    tree = dag.directory().with_new_file("link/f", "x")
    with pytest.raises(dagger.QueryError, match="out/link: is a file or link, not a directory"):
        await tree.export(str(out))
    await tree.with_symlink("../outside", "there").export(str(out), wipe=True)
    await tree.with_new_file("there", "f").export(str(out))
    assert os.listdir(outside) == []
    assert (out / "link/f").read_text() == "x"
    assert (out / "there").read_text() == "f"


async def test_exported_files_belong_to_the_caller_and_keep_their_modes(dag, tmp_path):
    tree = dag.directory().with_new_file("x", "1", permissions=0o750)
    await tree.with_timestamps(1_000_000_000).export(str(tmp_path / "out"))
    status = (tmp_path / "out/x").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (os.geteuid(), 0o750)
    assert status.st_mtime == 1_000_000_000


async def test_an_export_that_can_not_be_written_says_where(some, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(dagger.QueryError, match="file/below"):
        await some.export(str(tmp_path / "file/below"))


@pytest.mark.sandbox
async def test_owners_reach_the_command_by_number(dag, some):
    owned = some.chown("sub", "12:34")
    box = dag.container().from_("busybox").with_directory("/d", owned)
    shown = box.with_exec(["stat", "-c", "%u:%g", "/d/sub/c.go", "/d/a.txt"])
    if os.geteuid() != 0:
        pytest.skip("other owners need root or subordinate ids")
    assert await shown.stdout() == "12:34\n0:0\n"


@pytest.mark.sandbox
async def test_directories_of_a_container_are_trees(dag):
    box = dag.container().from_("busybox").with_exec(["sh", "-c", "mkdir -p /o/x; echo 1 >/o/x/f"])
    assert await box.directory("/o").glob("**/*") in (["x/f"], ["x/", "x/f"])
    assert await box.directory("/o").with_new_file("g", "2").entries() == ["g", "x/"]
    assert await box.directory("/o").digest() == (
        await dag.directory().with_new_file("x/f", "1\n").digest()
    )
