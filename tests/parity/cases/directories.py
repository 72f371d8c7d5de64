"""Directories: made, looked at, copied, filtered, compared."""

import dagger

from tests.parity.case import Differs, Fails, Given, case

D = "Directory."
REGULAR, SYMLINK = dagger.ExistsType.REGULAR_TYPE, dagger.ExistsType.SYMLINK_TYPE
DIRECTORY = dagger.ExistsType.DIRECTORY_TYPE


def some(given: Given) -> dagger.Directory:
    return (
        given.dag.directory()
        .with_new_file("a.txt", "a")
        .with_new_file("b.go", "b")
        .with_new_file("sub/c.go", "c")
        .with_new_file("sub/deep/d.md", "d")
    )


@case("Query.directory", D + "entries", gives=[[], ["a.txt", "b.go", "sub/"], ["c.go", "deep/"]])
async def entries_mark_directories(given: Given):
    it = some(given)
    return [
        await given.dag.directory().entries(),
        await it.entries(),
        await it.entries(path="sub"),
    ]


@case(D + "entries", gives=Fails("nope: no such file or directory"))
async def entries_of_what_is_not_there_is_an_error(given: Given):
    return await some(given).entries(path="nope")


@case(D + "entries", gives=Fails("a.txt"))
async def entries_of_a_file_is_an_error(given: Given):
    return await some(given).entries(path="a.txt")


@case(D + "file", "File.contents", gives=["d", "c"])
async def a_file_is_found_by_its_path(given: Given):
    it = some(given)
    inner = it.directory("sub").file("c.go")
    return [await it.file("sub/deep/d.md").contents(), await inner.contents()]


@case(D + "file", gives=Fails("nope: no such file or directory"))
async def a_file_that_is_not_there_is_named(given: Given):
    return await some(given).file("nope").contents()


@case(D + "file", gives=Fails("sub"))
async def a_directory_is_no_file(given: Given):
    return await some(given).file("sub").contents()


@case(D + "directory", gives=Fails("nope: no such file or directory"))
async def a_directory_that_is_not_there_is_named(given: Given):
    return await some(given).directory("nope").entries()


@case(D + "directory", gives=Fails("a.txt"))
async def a_file_is_no_directory(given: Given):
    return await some(given).directory("a.txt").entries()


@case(
    D + "glob",
    gives=[
        ["b.go"],
        ["b.go", "sub/c.go"],
        ["sub/deep/d.md"],
        ["a.txt", "b.go", "sub/"],
        [],
        ["a.txt"],
    ],
)
async def glob_matches_across_directories(given: Given):
    patterns = ["*.go", "**/*.go", "sub/**/*.md", "*", "nope*", "a.t?t"]
    return [sorted(await some(given).glob(pattern)) for pattern in patterns]


@case(D + "glob", gives=["a.txt", "b.go", "sub/", "sub/c.go", "sub/deep/", "sub/deep/d.md"])
async def glob_gives_directories_as_well(given: Given):
    return sorted(await some(given).glob("**/*"))


@case(D + "filter", gives=[["b.go"], ["b.go", "sub/"], ["a.txt"], ["b.go", "sub/"]])
async def filter_keeps_what_is_included_and_not_excluded(given: Given):
    it = some(given)
    return [
        await it.filter(include=["**/*.go"], exclude=["sub"]).entries(),
        await it.filter(exclude=["a.*"]).entries(),
        await it.filter(include=["a.txt"]).entries(),
        await it.filter(include=["**/*.go"]).entries(),
    ]


@case(D + "filter", gives=[["b.go", "sub/"], ["deep/"], ["sub/deep/d.md"]])
async def a_pattern_takes_back_what_one_before_it_excluded(given: Given):
    it = some(given)
    only = it.filter(exclude=["**", "!sub/deep/d.md"])
    return [
        await it.filter(exclude=["*.*", "!b.go"]).entries(),
        await it.filter(exclude=["sub/*", "!sub/deep"]).entries(path="sub"),
        [one for one in await only.glob("**/*") if not one.endswith("/")],
    ]


@case(D + "filter", gives=[["x"], ["c"]])
async def a_directory_includes_what_is_in_it(given: Given):
    it = given.dag.directory().with_new_file("d/x", "").with_new_file("e/c", "")
    return [
        await it.filter(include=["d"]).entries(path="d"),
        await it.filter(include=["e/"]).entries(path="e"),
    ]


@case(D + "filter", gives=[True, False, True])
async def filter_obeys_gitignore(given: Given):
    it = some(given).with_new_file(".gitignore", "*.go\n!b.go\n").filter(gitignore=True)
    return [await it.exists(name) for name in ("b.go", "sub/c.go", "sub/deep/d.md")]


@case(D + "withDirectory", gives=[["c.go", "deep/", "e"], ["b.go"], ["a.txt"]])
async def copies_merge_and_filter(given: Given):
    it = given.dag.directory()
    merged = it.with_new_file("dst/sub/e", "e").with_directory("dst", some(given))
    only = it.with_directory("dst", some(given), include=["*.go"])
    but = it.with_directory("dst", some(given), include=["*.*"], exclude=["*.go"])
    return [
        await merged.directory("dst/sub").entries(),
        await only.directory("dst").entries(),
        await but.directory("dst").entries(),
    ]


@case(D + "withDirectory", gives="new")
async def a_copied_file_replaces_the_one_before(given: Given):
    it = given.dag.directory().with_new_file("f", "old")
    return (
        await it.with_directory(".", given.dag.directory().with_new_file("f", "new"))
        .file("f")
        .contents()
    )


@case(D + "withDirectory", gives=[0o700, 0o700])
async def a_copied_directory_and_all_in_it_may_get_other_permissions(given: Given):
    it = given.dag.directory().with_directory("d", some(given), permissions=0o700)
    return [await it.stat("d").permissions(), await it.stat("d/a.txt").permissions()]


@case(
    D + "withFile", D + "withFiles",
    gives=[["x/renamed", "y/a.txt", "z/a.txt", "z/b.go"], 0o600, 0o644],
)  # fmt: skip
async def files_are_put_at_a_path_or_into_a_directory(given: Given):
    it = some(given)
    put = (
        given.dag.directory()
        .with_file("x/renamed", it.file("a.txt"), permissions=0o600)
        .with_file("y/", it.file("a.txt"))
        .with_files("z", [it.file("a.txt"), it.file("b.go")])
    )
    return [
        await put.glob("*/*"),
        await put.stat("x/renamed").permissions(),
        await put.stat("z/a.txt").permissions(),
    ]


@case(D + "withFile", gives=["d/a.txt"])
async def a_file_put_on_a_directory_goes_into_it(given: Given):
    it = given.dag.directory().with_new_directory("d").with_file("d", some(given).file("a.txt"))
    return await it.glob("d/*")


@case(D + "withNewFile", "Stat.permissions", gives=["2", 0o644, 0o755])
async def a_new_file_replaces_and_has_permissions(given: Given):
    it = given.dag.directory().with_new_file("f", "1").with_new_file("f", "2")
    it = it.with_new_file("x", "", permissions=0o755)
    return [
        await it.file("f").contents(),
        await it.stat("f").permissions(),
        await it.stat("x").permissions(),
    ]


@case(D + "withNewDirectory", D + "withSymlink", D + "stat", "Stat.fileType", "Stat.name",
      gives=[["d/", "l"], "SYMLINK", "DIRECTORY", 0o700, "l"])  # fmt: skip
async def new_directories_and_links(given: Given):
    it = given.dag.directory().with_new_directory("d", permissions=0o700).with_symlink("d", "l")
    link = it.stat("l", do_not_follow_symlinks=True)
    return [
        await it.entries(),
        (await link.file_type()).name,
        (await it.stat("l").file_type()).name,
        await it.stat("d").permissions(),
        await link.name(),
    ]


@case(D + "stat", "Stat.size", gives=["a.txt", 1, "REGULAR"])
async def a_file_is_described(given: Given):
    stat = some(given).stat("a.txt")
    return [await stat.name(), await stat.size(), (await stat.file_type()).name]


@case(D + "stat", gives=Fails("nope: no such file or directory"))
async def what_is_not_there_is_not_described(given: Given):
    return await some(given).stat("nope").size()


@case(D + "exists", gives=[True, True, True, False, True, False, False, True])
async def exists_asks_for_a_type(given: Given):
    it = some(given).with_symlink("a.txt", "l").with_symlink("gone", "dangling")
    return [
        await it.exists("a.txt"),
        await it.exists("l", expected_type=SYMLINK),
        await it.exists("l", expected_type=REGULAR),
        await it.exists("sub", expected_type=REGULAR),
        await it.exists("sub", expected_type=DIRECTORY),
        await it.exists("nope"),
        await it.exists("dangling"),
        await it.exists("dangling", do_not_follow_symlinks=True),
    ]


@case(D + "withoutDirectory", D + "withoutFile", D + "withoutFiles", gives=["sub/c.go"])
async def what_is_removed_is_gone(given: Given):
    left = some(given).without_directory("sub/deep").without_file("a.txt").without_files(["b.go"])
    return [one for one in await left.glob("**/*") if not one.endswith("/")]


@case(D + "withoutDirectory", D + "withoutFile", gives=["a.txt", "b.go", "sub/"])
async def removing_what_is_not_there_changes_nothing(given: Given):
    return await some(given).without_directory("nope").without_file("nope").entries()


@case(D + "withoutFile", gives=["a.txt", "sub/"])
async def files_are_removed_by_pattern(given: Given):
    return await some(given).without_file("*.go").entries()


@case(D + "diff", gives=[["a.txt", "new"], "changed"])
async def diff_keeps_what_the_other_has_otherwise(given: Given):
    it = some(given)
    other = it.with_new_file("a.txt", "changed").with_new_file("new", "n").without_file("b.go")
    return [await it.diff(other).entries(), await it.diff(other).file("a.txt").contents()]


@case(D + "diff", gives=[])
async def there_is_no_diff_between_equals(given: Given):
    return await some(given).diff(some(given)).entries()


@case(D + "digest", gives=[True, False, True])
async def equal_contents_have_equal_digests_however_they_came(given: Given):
    it = given.dag.directory()
    one = await it.with_new_file("x", "1").with_new_file("y", "2").digest()
    two = await it.with_new_file("y", "2").with_new_file("x", "1").digest()
    three = await it.with_new_file("y", "2").digest()
    return [one == two, one == three, one.startswith("sha256:")]


@case(D + "digest", gives=False)
async def a_digest_sees_permissions(given: Given):
    one, two = (given.dag.directory().with_new_file("x", "1", permissions=m) for m in (420, 493))
    return await one.digest() == await two.digest()


@case(D + "name", gives=["/", "deep/"])
async def a_directory_has_a_name(given: Given):
    it = some(given)
    return [await it.name(), await it.directory("sub/deep").name()]


@case(D + "findUp", gives=["a.txt", "sub/c.go", None])
async def a_file_is_found_on_the_way_up(given: Given):
    it = some(given)
    return [await it.find_up(name, "sub/deep") for name in ("a.txt", "c.go", "nope")]


@case(D + "withTimestamps", gives="1000000000\n")
async def modification_times_are_pinned(given: Given):
    it = given.box.with_directory("/d", some(given).with_timestamps(1_000_000_000))
    return await it.with_exec(["stat", "-c", "%Y", "/d/sub/c.go"]).stdout()


@case(D + "chown", gives="12:34\n12:34\n0:0\n")
async def owners_are_changed_below_a_path(given: Given):
    it = given.box.with_directory("/d", some(given).chown("sub", "12:34"))
    shown = it.with_exec(["stat", "-c", "%u:%g", "/d/sub", "/d/sub/c.go", "/d/a.txt"])
    return await shown.stdout()


@case(D + "chown", gives=Fails("bob"))
async def a_directory_knows_no_users_by_name(given: Given):
    return await some(given).chown("sub", "bob").sync()


@case(D + "withError", D + "sync", gives=Fails("mine"))
async def an_error_of_the_callers_own_is_raised(given: Given):
    return await some(given).with_error("mine").sync()


@case(D + "withError", gives=["a.txt", "b.go", "sub/"])
async def an_empty_error_is_none(given: Given):
    return await some(given).with_error("").entries()


LEAVES = "A path that leaves its directory is a slip or an attack; it is refused."


@case(
    D + "withNewFile",
    gives=Fails(r"\.\./\.\./up"),
    differs=Differs(LEAVES, dagger=["c.go", "deep/"]),
)
async def a_path_does_not_leave_its_directory(given: Given):
    return await some(given).directory("sub").with_new_file("../../up", "x").entries()


@case(D + "file", gives=Fails("a.txt"), differs=Differs(LEAVES, dagger="a"))
async def a_file_above_is_not_found(given: Given):
    return await some(given).directory("sub").file("../a.txt").contents()


@case(D + "file", gives=Fails("l: .*(no such file|not found)"))
async def a_link_does_not_lead_out(given: Given):
    (given.path / "outside").write_text("of the host")
    it = given.dag.directory().with_symlink(str(given.path / "outside"), "l")
    return await it.file("l").contents()


@case(D + "file", gives=Fails("a|links"))
async def a_loop_of_links_is_an_error(given: Given):
    it = given.dag.directory().with_symlink("b", "a").with_symlink("a", "b")
    return await it.file("a").contents()


@case(D + "file", gives=["c", "c"])
async def links_are_followed_inside(given: Given):
    it = some(given).with_symlink("sub", "l").with_symlink("/sub/c.go", "absolute")
    return [await it.file("l/c.go").contents(), await it.file("absolute").contents()]


@case(D + "export", gives=[["a.txt", "b.go", "kept", "sub"], "a"])
async def an_export_merges(given: Given):
    out = given.path / "out"
    out.mkdir()
    (out / "kept").write_text("kept")
    (out / "a.txt").write_text("old")
    await some(given).export(str(out))
    return [sorted(one.name for one in out.iterdir()), (out / "a.txt").read_text()]


@case(D + "export", gives=[["a.txt", "b.go", "sub"], "d"])
async def an_export_with_wipe_replaces(given: Given):
    out = given.path / "out"
    out.mkdir()
    (out / "gone").write_text("gone")
    await some(given).export(str(out), wipe=True)
    found = sorted(one.name for one in out.iterdir())
    return [found, (out / "sub/deep/d.md").read_text()]


@case(D + "export", gives=[0o750, 1_000_000_000])
async def an_export_keeps_modes_and_times(given: Given):
    it = given.dag.directory().with_new_file("x", "1", permissions=0o750)
    await it.with_timestamps(1_000_000_000).export(str(given.path / "out"))
    status = (given.path / "out/x").stat()
    return [status.st_mode & 0o777, int(status.st_mtime)]


@case(D + "export", gives=True)
async def an_export_tells_where_it_went(given: Given):
    return await some(given).export(str(given.path / "out")) == str(given.path / "out")


@case(D + "export", gives=Fails("file/below"))
async def an_export_that_can_not_be_written_says_where(given: Given):
    (given.path / "file").write_text("")
    return await some(given).export(str(given.path / "file/below"))


@case(D + "withoutFile", D + "withoutDirectory", gives=[["a.txt", "b.go"], ["b.go", "sub/"]])
async def files_and_directories_are_removed_alike(given: Given):
    it = some(given)
    return [await it.without_file("sub").entries(), await it.without_directory("a.txt").entries()]


@case(D + "withDirectory", gives=[["x"], ["sub"]])
async def what_is_copied_takes_the_place_of_what_is_there(given: Given):
    new = given.dag.directory()
    over_file = some(given).with_directory("a.txt", new.with_new_file("x", ""))
    base = new.with_new_file("sub/x", "")
    over_directory = base.with_directory(".", new.with_new_file("sub", ""))
    return [await over_file.entries(path="a.txt"), await over_directory.glob("**/*")]


@case(D + "withDirectory", gives=["b.go", "deep/", "x"])
async def a_copied_directory_goes_through_a_link(given: Given):
    it = given.dag.directory().with_directory("sub/deep", some(given)).with_symlink("sub", "l")
    it = it.with_new_file("sub/b.go", "")
    copied = it.with_directory(".", given.dag.directory().with_new_file("l/x", ""))
    return await copied.entries(path="sub")


@case(D + "withFile", gives=["a.txt", "c.go", "deep/"])
async def a_file_put_on_a_link_to_a_directory_goes_into_it(given: Given):
    it = some(given).with_symlink("sub", "l")
    return await it.with_file("l", it.file("a.txt")).entries(path="sub")


@case(D + "findUp", gives=["/a.txt", "a.txt"])
async def what_is_found_is_spelled_as_the_start_was(given: Given):
    it = some(given)
    return [await it.find_up("a.txt", start) for start in ("/sub/deep", "sub/deep")]


@case(D + "withDirectory", D + "entries", gives=["e/", "g"])
async def empty_directories_are_kept(given: Given):
    it = given.dag.directory().with_new_directory("e").with_new_file("g", "")
    return await given.dag.directory().with_directory("d", it).entries(path="d")


ROOTED = "A pattern that begins with a slash is anchored at the root, as in a `.gitignore`."


@case(D + "filter", D + "glob", gives=[["b.go", "sub/"], ["a.txt", "b.go", "sub/"]],
      differs=Differs(ROOTED, dagger=[["a.txt", "b.go", "sub/"], []]))  # fmt: skip
async def a_pattern_may_be_anchored(given: Given):
    it = some(given)
    return [await it.filter(exclude=["/a.txt"]).entries(), await it.glob("/*")]


@case(
    D + "withoutFile",
    gives=[],
    differs=Differs("`**` reaches every depth, as it does elsewhere.", dagger=["sub/deep/d.md"]),
)
async def two_stars_remove_at_every_depth(given: Given):
    return await some(given).without_file("**/*.md").glob("**/*.md")


@case(
    D + "withoutFile",
    gives=["a.txt", "b.go", "sub/"],
    differs=Differs("A pattern that matches nothing removes nothing.", dagger=Fails("nope")),
)
async def a_pattern_in_a_directory_that_is_not_there_removes_nothing(given: Given):
    return await some(given).without_file("nope/deep/*.md").entries()


@case(
    D + "filter",
    gives=[False, True],
    differs=Differs(
        "A `.gitignore` means what git says: below an ignored directory nothing is taken back, "
        "and `[!a]` is any letter but `a`.",
        dagger=[True, False],
    ),
)
async def gitignore_is_read_as_git_reads_it(given: Given):
    below = some(given).with_new_file(".gitignore", "sub\n!c.go\n").filter(gitignore=True)
    letters = some(given).with_new_file(".gitignore", "[!a]*.*\n").filter(gitignore=True)
    return [await below.exists("sub/c.go"), not await letters.exists("b.go")]
