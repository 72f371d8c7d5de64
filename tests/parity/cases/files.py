"""Files, by themselves."""

import hashlib

import dagger

from tests.parity.case import Differs, Fails, Given, case

F = "File."


def text(given: Given) -> dagger.File:
    return given.dag.file("text", "one\ntwo\nthree\n")


@case("Query.file", F + "contents", F + "name", F + "size", gives=["one\ntwo\nthree\n", "text", 14])
async def a_file_is_made_and_read(given: Given):
    it = text(given)
    return [await it.contents(), await it.name(), await it.size()]


@case(F + "contents", gives=["two\n", "two\nthree\n", "one\ntwo\n", ""])
async def lines_are_read(given: Given):
    it = text(given)
    return [
        await it.contents(offset_lines=1, limit_lines=1),
        await it.contents(offset_lines=1),
        await it.contents(limit_lines=2),
        await it.contents(limit_lines=0),
    ]


@case("Query.file", gives=Fails("a/b"))
async def a_name_is_no_path(given: Given):
    return await given.dag.file("a/b", "").contents()


@case(F + "digest", gives=[False, True])
async def a_digest_is_of_the_metadata_as_well_unless_told_otherwise(given: Given):
    it, other = text(given), given.dag.file("text", "one\ntwo\nthree\n", permissions=0o600)
    return [
        await it.digest() == await other.digest(),
        await it.digest(exclude_metadata=True) == await other.digest(exclude_metadata=True),
    ]


@case(
    F + "digest",
    gives=True,
    differs=Differs(
        "The digest of a file's contents is the one that `sha256sum` prints; the Dagger engine "
        "digests that digest once more.",
        dagger=False,
    ),
)
async def the_digest_without_metadata_is_that_of_the_contents(given: Given):
    expected = "sha256:" + hashlib.sha256(b"one\ntwo\nthree\n").hexdigest()
    return await text(given).digest(exclude_metadata=True) == expected


@case(F + "withName", gives=["renamed", "one\ntwo\nthree\n", ["renamed"]])
async def a_file_is_renamed(given: Given):
    it = text(given).with_name("renamed")
    put = given.dag.directory().with_file("d/", it)
    return [await it.name(), await it.contents(), await put.entries(path="d")]


@case(F + "withReplaced", gives=["one\n2\nthree\n", "1 b\n1 c\n", "a b\n1 c\n", "1 b\na c\n"])
async def text_is_replaced(given: Given):
    it = given.dag.file("f", "a b\na c\n")
    return [
        await text(given).with_replaced("two", "2").contents(),
        await it.with_replaced("a", "1", all=True).contents(),
        await it.with_replaced("a", "1", first_from=2).contents(),
        await given.dag.file("f", "a b\n").with_replaced("a", "1").contents() + "a c\n",
    ]


@case(
    F + "withReplaced",
    gives=Fails("four"),
    differs=Differs("The error names the text.", dagger=Fails("search string not found")),
)
async def replacing_what_is_not_there_is_an_error(given: Given):
    return await text(given).with_replaced("four", "4").contents()


@case(F + "withReplaced", gives=Fails("a"))
async def replacing_what_is_there_twice_is_an_error(given: Given):
    return await given.dag.file("f", "a b\na c\n").with_replaced("a", "1").contents()


@case(F + "export", gives="one\ntwo\nthree\n")
async def a_file_is_exported_to_a_path(given: Given):
    await text(given).export(str(given.path / "new/file"))
    return (given.path / "new/file").read_text()


@case(
    F + "withTimestamps",
    F + "export",
    gives=True,
    differs=Differs("A time that somebody pinned is part of the file, outside too.", dagger=False),
)
async def a_pinned_time_goes_along_with_an_export(given: Given):
    out = given.path / "file"
    await text(given).with_timestamps(1_000_000_000).export(str(out))
    return out.stat().st_mtime == 1_000_000_000


@case(F + "withTimestamps", gives="1000000000\n")
async def a_modification_time_is_pinned(given: Given):
    it = given.box.with_file("/f", text(given).with_timestamps(1_000_000_000))
    return await it.with_exec(["stat", "-c", "%Y", "/f"]).stdout()


@case(F + "export", gives=Fails("."))
async def a_file_does_not_replace_a_directory(given: Given):
    return await text(given).export(str(given.path))


@case(F + "export", gives="one\ntwo\nthree\n")
async def a_file_is_exported_into_a_directory_if_allowed(given: Given):
    await text(given).export(str(given.path), allow_parent_dir_path=True)
    return (given.path / "text").read_text()


@case(F + "stat", "Stat.name", "Stat.size", "Stat.permissions", "Stat.fileType",
      gives=["f", 5, 0o640, "REGULAR"])  # fmt: skip
async def a_file_describes_itself(given: Given):
    stat = given.dag.file("f", "12345", permissions=0o640).stat()
    return [
        await stat.name(),
        await stat.size(),
        await stat.permissions(),
        (await stat.file_type()).name,
    ]


@case(F + "chown", gives="12:34\n")
async def a_file_changes_its_owner(given: Given):
    it = given.box.with_file("/f", text(given).chown("12:34"))
    return await it.with_exec(["stat", "-c", "%u:%g", "/f"]).stdout()


@case(F + "sync", "Query.node", gives="one\ntwo\nthree\n")
async def a_synced_file_goes_on(given: Given):
    return await (await text(given).sync()).contents()


@case(F + "contents", gives="a�b")
async def contents_that_are_no_text_are_replaced(given: Given):
    return await given.sh(r"printf 'a\377b' > /f").file("/f").contents()


@case("Query.loadFileFromID", gives="one\ntwo\nthree\n")
async def an_old_id_finds_its_file(given: Given):
    found = given.dag.load_file_from_id(dagger.FileID(await text(given).id()))
    return await found.contents()
