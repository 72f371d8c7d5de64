# ruff: noqa: E501  # a query is read best on one line
import pytest

BEFORE = '{directory{withNewFile(path:"same",contents:"s"){withNewFile(path:"edited",contents:"1\\n2\\n"){withNewFile(path:"dir/gone",contents:"g\\n"){id}}}}}'
AFTER = '{directory{withNewFile(path:"same",contents:"s"){withNewFile(path:"edited",contents:"1\\ntwo\\n"){withNewFile(path:"new/x",contents:"n\\n"){id}}}}}'


@pytest.fixture
def changes(ask):
    before, after = ask(BEFORE), ask(AFTER)
    query = "query($b:ID!,$a:ID!){loadDirectoryFromID(id:$a){changes(from:$b){%s}}}"
    return lambda calls: ask(query % calls, b=before, a=after)


READ = {
    "addedPaths": ["new/", "new/x"],
    "modifiedPaths": ["edited"],
    "removedPaths": ["dir/"],
    "isEmpty": False,
    "before{entries}": ["dir/", "edited", "same"],
    "after{entries}": ["edited", "new/", "same"],
    'layer{glob(pattern:"**")}': ["edited", "new/", "new/x"],
    "asPatch{name}": "diff.patch",
}


@pytest.mark.parametrize("calls", READ)
def test_a_changeset_tells_what_changed(changes, calls):
    assert changes(calls) == READ[calls]


def test_line_counts_are_told_path_by_path(changes):
    stats = changes("diffStats{path kind addedLines removedLines oldPath}")
    assert [tuple(stat.values()) for stat in stats] == [
        ("dir/", "REMOVED", 0, 0, None),
        ("dir/gone", "REMOVED", 0, 1, None),
        ("edited", "MODIFIED", 1, 1, None),
        ("new/", "ADDED", 0, 0, None),
        ("new/x", "ADDED", 1, 0, None),
    ]


def test_an_empty_changeset_is_empty(ask):
    assert ask("{changeset{isEmpty}}") is True
    assert ask("{changeset{addedPaths}}") == []


@pytest.mark.parametrize("way", ["withChanges", "withPatchFile"])
def test_changes_are_applied_elsewhere(ask, changes, way):
    named = changes("id") if way == "withChanges" else changes("asPatch{id}")
    argument = "changes" if way == "withChanges" else "patch"
    query = f"query($b:ID!,$c:ID!){{loadDirectoryFromID(id:$b){{{way}({argument}:$c){{%s}}}}}}"
    found = ask(query % 'glob(pattern:"**")', b=ask(BEFORE), c=named)
    assert found == ["edited", "new/", "new/x", "same"]
    text = ask(query % 'file(path:"edited"){contents}', b=ask(BEFORE), c=named)
    assert text == "1\ntwo\n"


def test_a_patch_that_does_not_apply_says_where(refused):
    patch = "--- a/f\\n+++ b/f\\n@@ -1 +1 @@\\n-no\\n+yes\\n"
    query = '{directory{withNewFile(path:"f",contents:"x\\n"){withPatch(patch:"%s"){sync}}}}'
    assert "patch: f:1: the patch does not apply" in refused(query % patch)["message"]


def test_a_changeset_is_exported_with_what_went(changes, engine, tmp_path):
    assert changes('export(path:"out")') == str(tmp_path / "out")
    assert engine.exported == [(["edited", "new", "new/x"], ("dir/",), "out")]


def test_syncing_a_changeset_gives_its_id(changes):
    assert changes("sync") == changes("id")
