import pytest

from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree.changes import between, stats

CONTENTS: dict[str, bytes] = {}


def file(text, mode=0o644, uid=0):
    name = f"{hash(text):064x}"
    CONTENTS[name] = text.encode()
    return Entry("file", mode, len(text), name, uid=uid)


def read(entry):
    return CONTENTS[entry.content]


def tree(**files):
    return Tree.of((name.replace("__", "/"), entry) for name, entry in files.items())


def test_added_modified_and_removed_paths_are_told_apart():
    before = tree(same=file("s"), edited=file("1"), gone=file("g"), dir__in=file("x"))
    after = tree(same=file("s"), edited=file("2"), new__deep=file("n"))
    changes = between(before, after)
    assert changes.added == ("new/", "new/deep")
    assert changes.modified == ("edited",)
    assert changes.removed == ("dir/", "gone")
    assert changes.all_removed == ("dir/", "dir/in", "gone")


def test_what_git_does_not_see_is_no_change():
    before = tree(f=file("x"), dir__a=file("a"))
    after = tree(f=file("x", 0o600, uid=5), dir__a=file("a"))
    assert between(before, after).is_empty
    assert between(before, tree(f=file("x"), dir__a=file("a"), empty=Entry("dir", 0o755))).is_empty
    assert between(before, tree(f=file("x", 0o755), dir__a=file("a"))).modified == ("f",)


def test_a_file_that_becomes_a_directory_goes_and_comes():
    changes = between(tree(x=file("1")), tree(x__y=file("2")))
    assert (changes.added, changes.removed, changes.modified) == (("x/", "x/y"), ("x",), ())


def test_lines_are_counted_path_by_path():
    before = tree(f=file("1\n2\n3\n"), gone=file("a\nb\n"), bin=file("\0" * 9))
    after = tree(f=file("1\ntwo\n3\n4\n"), new=file("n"), bin=file("\0" * 8))
    assert [
        (s.path, s.kind, s.added_lines, s.removed_lines) for s in stats(before, after, read)
    ] == [
        ("bin", "MODIFIED", 0, 0),
        ("f", "MODIFIED", 2, 1),
        ("gone", "REMOVED", 0, 2),
        ("new", "ADDED", 1, 0),
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("1\n2\n3\n4\n", [("to", "RENAMED", "from")]),
        ("1\n2\n3\nfour\n", [("to", "RENAMED", "from")]),
        ("one\ntwo\nthree\n", [("from", "REMOVED", None), ("to", "ADDED", None)]),
    ],
)
def test_a_file_that_is_at_least_half_the_same_was_renamed(text, kinds):
    found = stats(tree(**{"from": file("1\n2\n3\n4\n")}), tree(to=file(text)), read)
    assert [(s.path, s.kind, s.old_path) for s in found] == kinds


def test_of_equal_files_the_one_of_the_same_name_was_moved():
    before = tree(a__x=file("same"), a__y=file("same"))
    after = tree(b__x=file("same"), b__y=file("same"))
    found = stats(before, after, read)
    renamed = {s.path: s.old_path for s in found if s.kind == "RENAMED"}
    assert renamed == {"b/x": "a/x", "b/y": "a/y"}
