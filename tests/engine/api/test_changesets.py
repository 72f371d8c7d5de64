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


def changeset(ask, base, **files):
    query = "query($b:ID!){loadDirectoryFromID(id:$b){%schanges(from:$b){id}%s}}"
    writes = [f'withNewFile(path:"{name}",contents:"{text}"){{' for name, text in files.items()]
    return ask(query % ("".join(writes), "}" * len(writes)), b=base)


@pytest.fixture
def base(ask):
    return ask('{directory{withNewFile(path:"f",contents:"1\\n2\\n3\\n4\\n5\\n"){id}}}')


def test_changesets_are_merged_line_by_line(ask, base):
    one = changeset(ask, base, f="one\\n2\\n3\\n4\\n5\\n", new="n")
    two = changeset(ask, base, f="1\\n2\\n3\\n4\\nfive\\n")
    query = "query($o:ID!,$t:ID!){loadChangesetFromID(id:$o){withChangeset(changes:$t){%s}}}"
    text = ask(query % 'after{file(path:"f"){contents}}', o=one, t=two)
    assert text == "one\n2\n3\n4\nfive\n"
    assert ask(query % "addedPaths", o=one, t=two) == ["new"]
    many = "query($o:ID!,$t:ID!){loadChangesetFromID(id:$o){withChangesets(changes:[$t,$o]){modifiedPaths}}}"
    assert ask(many, o=one, t=two) == ["f"]


@pytest.mark.parametrize(
    ("conflict", "text"),
    [
        ("PREFER_OURS", "one\n2\n3\n4\n5\n"),
        ("PREFER_THEIRS", "ONE\n2\n3\n4\n5\n"),
        (
            "LEAVE_CONFLICT_MARKERS",
            "<<<<<<< HEAD\none\n=======\nONE\n>>>>>>> theirs\n2\n3\n4\n5\n",
        ),
        ("FAIL", None),
        ("FAIL_EARLY", None),
    ],
)
def test_a_conflict_is_settled_as_it_was_asked_for(ask, refused, base, conflict, text):
    one = changeset(ask, base, f="one\\n2\\n3\\n4\\n5\\n")
    two = changeset(ask, base, f="ONE\\n2\\n3\\n4\\n5\\n")
    query = (
        "query($o:ID!,$t:ID!){loadChangesetFromID(id:$o){withChangeset(changes:$t,onConflict:"
        + conflict
        + '){after{file(path:"f"){contents}}}}}'
    )
    if text is None:
        assert "both changeset" in refused(query, o=one, t=two)["message"]
    else:
        assert ask(query, o=one, t=two) == text
