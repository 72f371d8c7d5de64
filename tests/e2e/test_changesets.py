"""Changesets, patches and searches, as an SDK client sees them."""

import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


@pytest.fixture
def before(dag):
    made = dag.directory().with_new_file("edited", "1\n2\n3\n").with_new_file("dir/gone", "g\n")
    return made.with_new_file("run", "#!/bin/sh\n", permissions=0o755)


@pytest.fixture
def changes(before):
    after = before.with_new_file("edited", "1\ntwo\n3\n").without_directory("dir")
    return after.with_new_file("new/x", "n").changes(before)


async def test_what_a_command_did_is_a_changeset(dag, before):
    box = dag.container().from_("busybox").with_mounted_directory("/src", before)
    ran = box.with_exec(["sh", "-c", "cd /src; rm -r dir; echo 4 >> edited; chmod -x run"])
    changes = ran.directory("/src").changes(before)
    assert await changes.modified_paths() == ["edited", "run"]
    assert await changes.removed_paths() == ["dir/"]
    assert await changes.added_paths() == []
    assert not await changes.is_empty()


async def test_a_patch_carries_a_changeset(dag, before, changes):
    patched = before.with_patch_file(changes.as_patch())
    assert await patched.digest() == await changes.after().digest()
    assert await before.with_patch(await changes.as_patch().contents()).glob("**") == [
        "edited",
        "new/",
        "new/x",
        "run",
    ]


async def test_a_changeset_is_applied_to_a_root_filesystem(dag, changes):
    box = dag.container().from_("busybox")
    root = box.with_exec(["sh", "-c", "mkdir /dir; touch /dir/gone /dir/kept"]).rootfs()
    ran = dag.container().with_rootfs(root.with_changes(changes))
    script = "cat /edited /new/x; test ! -e /dir && echo gone"
    assert await ran.with_exec(["sh", "-c", script]).stdout() == "1\ntwo\n3\nngone\n"


async def test_a_changeset_is_exported_onto_a_directory(changes, tmp_path):
    out = tmp_path / "out"
    (out / "dir").mkdir(parents=True)
    for name in ("dir/gone", "edited", "kept"):
        (out / name).write_text("old")
    assert await changes.export(str(out)) == str(out)
    assert sorted(path.name for path in out.iterdir()) == ["edited", "kept", "new"]
    assert (out / "edited").read_text() == "1\ntwo\n3\n"


async def test_an_export_removes_nothing_beyond_a_link(dag, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "gone").write_text("mine")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "dir").symlink_to(outside)
    before = dag.directory().with_new_file("dir/gone", "g").with_new_file("a", "a")
    changes = before.without_file("dir/gone").changes(before)
    await changes.export(str(tmp_path / "work"))
    assert (outside / "gone").read_text() == "mine"


async def test_a_patch_that_does_not_apply_changes_nothing(before):
    patch = "--- a/edited\n+++ b/edited\n@@ -1 +1 @@\n-9\n+8\n"
    with pytest.raises(dagger.QueryError, match="edited:1: the patch does not apply"):
        await before.with_patch(patch).sync()


async def test_a_changeset_re_runs_only_what_reads_what_changed(session):
    async def run(dag, text):
        one = dag.directory().with_new_file("f", "x\n").with_new_file("other", "o")
        changes = one.with_new_file("f", text).changes(one)
        box = dag.container().from_("busybox")
        box = box.with_mounted_directory("/src", one.with_changes(changes))
        return await box.with_exec(["cat", "/src/f"]).stdout()

    async with session() as (dag, heard):
        assert await run(dag, "1\n") == "1\n"
    assert len(heard.ran) == 1
    async with session() as (dag, heard):
        assert await run(dag, "1\n") == "1\n"
        assert await run(dag, "2\n") == "2\n"
    assert len(heard.ran) == 1


async def test_a_root_filesystem_is_searched(dag):
    box = dag.container().from_("busybox").with_new_file("/srv/a.txt", "one\ntwo\n")
    (found,) = await box.rootfs().search("^two$", paths=["srv"])
    assert (await found.file_path(), await found.line_number()) == ("srv/a.txt", 2)
    (part,) = await found.submatches()
    assert (await part.text(), await part.start(), await part.end()) == ("two", 0, 3)
