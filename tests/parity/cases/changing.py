"""Changesets and patches."""

import dagger

from tests.parity.case import Differs, Fails, Given, case

C = "Changeset."
PATCH = "--- a/edited\n+++ b/edited\n@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n"


def before(given: Given) -> dagger.Directory:
    made = given.dag.directory().with_new_file("edited", "1\n2\n3\n")
    return made.with_new_file("dir/gone", "g\n").with_new_file("kept", "k\n")


def after(given: Given) -> dagger.Directory:
    it = before(given).with_new_file("edited", "1\ntwo\n3\n").without_directory("dir")
    return it.with_new_file("new/x", "n\n")


def changes(given: Given) -> dagger.Changeset:
    return after(given).changes(before(given))


@case(
    "Directory.changes", C + "addedPaths", C + "modifiedPaths", C + "removedPaths", C + "isEmpty",
    gives=[["new/", "new/x"], ["edited"], ["dir/"], False],
)  # fmt: skip
async def what_changed_is_told(given: Given):
    it = changes(given)
    return [
        sorted(await it.added_paths()),
        await it.modified_paths(),
        await it.removed_paths(),
        await it.is_empty(),
    ]


@case(C + "isEmpty", "Directory.changes", gives=[True, []])
async def nothing_changed_between_equals(given: Given):
    it = before(given).changes(before(given))
    return [await it.is_empty(), await it.modified_paths()]


@case(C + "before", C + "after", gives=["1\n2\n3\n", "1\ntwo\n3\n"])
async def both_sides_are_there(given: Given):
    it = changes(given)
    sides = [it.before(), it.after()]
    return [await one.file("edited").contents() for one in sides]


@case(C + "layer", gives=["edited", "new/"])
async def a_layer_holds_what_was_added_or_modified(given: Given):
    return await changes(given).layer().entries()


@case(
    C + "diffStats", "DiffStat.path", "DiffStat.kind", "DiffStat.addedLines",
    "DiffStat.removedLines",
    gives=[
        ("dir/", "REMOVED", 0, 0), ("dir/gone", "REMOVED", 0, 1), ("edited", "MODIFIED", 1, 1),
        ("new/", "ADDED", 0, 0), ("new/x", "ADDED", 1, 0),
    ],
)  # fmt: skip
async def changes_are_counted_in_lines(given: Given):
    found = [
        (
            await one.path(),
            (await one.kind()).name,
            await one.added_lines(),
            await one.removed_lines(),
        )
        for one in await changes(given).diff_stats()
    ]
    return sorted(found)


@case(C + "diffStats", "DiffStat.oldPath", "DiffStat.kind", gives=[("RENAMED", "kept", "moved")])
async def a_file_that_moved_is_told(given: Given):
    it = before(given)
    moved = it.without_file("kept").with_file("moved", it.file("kept"))
    found = await moved.changes(it).diff_stats()
    return [((await s.kind()).name, await s.old_path(), await s.path()) for s in found]


@case(C + "asPatch", "Directory.withPatchFile", "Directory.withPatch", gives=[True, True])
async def a_patch_carries_a_changeset(given: Given):
    it, patch = before(given), changes(given).as_patch()
    whole = await after(given).glob("**/*")
    return [
        await it.with_patch_file(patch).glob("**/*") == whole,
        await it.with_patch(await patch.contents()).glob("**/*") == whole,
    ]


@case("Directory.withPatch", gives="1\ntwo\n3\n")
async def a_patch_is_applied(given: Given):
    return await before(given).with_patch(PATCH).file("edited").contents()


@case(
    "Directory.withPatch",
    gives=Fails("edited"),
    differs=Differs(
        "The error names the file and the line.", dagger=Fails("git apply: exit status 1")
    ),
)
async def a_patch_that_does_not_apply_is_an_error(given: Given):
    return await after(given).with_patch(PATCH).sync()


@case("Directory.withChanges", gives=[["edited", "kept", "more", "new/"], "1\ntwo\n3\n"])
async def changes_are_made_to_another_directory(given: Given):
    it = before(given).with_new_file("more", "").with_changes(changes(given))
    return [await it.entries(), await it.file("edited").contents()]


@case(C + "export", gives=["edited", "mine", "new"])
async def changes_are_exported_onto_a_directory(given: Given):
    out = given.path / "out"
    (out / "dir").mkdir(parents=True)
    for name in ("dir/gone", "edited", "mine"):
        (out / name).write_text("old")
    await changes(given).export(str(out))
    return sorted(one.name for one in out.iterdir())


@case("Container.directory", "Directory.changes", C + "modifiedPaths", gives=[["f"], ["g"]])
async def what_a_command_did_is_a_changeset(given: Given):
    source = given.dag.directory().with_new_file("f", "1\n")
    ran = given.box.with_mounted_directory("/m", source).with_exec(
        ["sh", "-c", "echo 2 >> /m/f; touch /m/g"]
    )
    it = ran.directory("/m").changes(source)
    return [await it.modified_paths(), await it.added_paths()]


@case("Query.changeset", C + "isEmpty", gives=True)
async def a_changeset_begins_empty(given: Given):
    return await given.dag.changeset().is_empty()


@case(C + "withChangeset", C + "withChangesets", C + "addedPaths", gives=[["a", "b"], ["a", "b"]])
async def changesets_are_merged(given: Given):
    it = before(given)
    one, two = (it.with_new_file(name, "").changes(it) for name in ("a", "b"))
    return [
        sorted(await one.with_changeset(two).added_paths()),
        sorted(await one.with_changesets([two]).added_paths()),
    ]


@case(C + "withChangeset", gives=Fails("(?i)edited|conflict"))
async def changes_that_conflict_are_an_error(given: Given):
    it = before(given)
    one, two = (it.with_new_file("edited", text).changes(it) for text in ("x\n", "y\n"))
    return await one.with_changeset(two).modified_paths()


@case(C + "withChangeset", C + "after", gives="y\n")
async def a_conflict_may_be_decided(given: Given):
    it = before(given)
    one, two = (it.with_new_file("edited", text).changes(it) for text in ("x\n", "y\n"))
    theirs = dagger.ChangesetMergeConflict.PREFER_THEIRS
    return await one.with_changeset(two, on_conflict=theirs).after().file("edited").contents()


@case(C + "sync", C + "isEmpty", gives=False)
async def a_synced_changeset_goes_on(given: Given):
    return await (await changes(given).sync()).is_empty()
