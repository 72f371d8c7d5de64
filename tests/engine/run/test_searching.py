"""What a search remembers: finds by content, for one pattern and its options."""

import hashlib
from dataclasses import replace

import pytest

from pipelines.engine.run import searching
from pipelines.engine.store.notes import Notes
from pipelines.engine.text.search import Search
from pipelines.engine.tree import Entry, Tree

LONG = b"x" * 2000 + b"\n"
SEARCH = Search("needle")


class Files:
    def __init__(self):
        self.content = {}
        self.read = []

    def tree(self, **texts):
        entries = {}
        for name, text in texts.items():
            digest = hashlib.sha256(text).hexdigest()
            self.content[digest] = text
            entries[name] = Entry("file", 0o644, len(text), digest)
        return Tree.of(entries.items())

    def __call__(self, entry):
        text = self.content[entry.content]
        self.read.append(text)
        return text


@pytest.fixture
def files():
    return Files()


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "searches", 8)


def found(files, notes, tree, wanted=SEARCH):
    files.read.clear()
    hits = [(hit.path, hit.line, hit.text) for hit in searching.search(tree, wanted, files, notes)]
    return hits, len(files.read)


def test_a_file_that_was_searched_is_not_read_again_whatever_its_name(files, notes):
    text = LONG + b"a needle\n"
    assert found(files, notes, files.tree(a=text)) == ([("a", 2, "a needle\n")], 1)
    assert found(files, notes, files.tree(b=text)) == ([("b", 2, "a needle\n")], 0)


def test_a_file_that_changed_is_read(files, notes):
    found(files, notes, files.tree(a=LONG, b=LONG + b"needle\n"))
    hits, read = found(files, notes, files.tree(a=LONG + b"needle!\n", b=LONG + b"needle\n"))
    assert hits == [("a", 2, "needle!\n"), ("b", 2, "needle\n")]
    assert read == 1


@pytest.mark.parametrize(
    "options",
    [
        {"pattern": "needle."},
        {"literal": True},
        {"insensitive": True},
        {"multiline": True},
        {"dotall": True},
    ],
)
def test_every_option_that_decides_what_matches_is_remembered_apart(files, notes, options):
    tree = files.tree(a=LONG)
    found(files, notes, tree)
    assert found(files, notes, tree, replace(SEARCH, **options))[1] == 1


@pytest.mark.parametrize("options", [{"files_only": True}, {"limit": 1}, {"globs": ("a",)}])
def test_an_option_that_only_chooses_shares_what_is_known(files, notes, options):
    tree = files.tree(a=LONG + b"needle\n")
    found(files, notes, tree)
    hits, read = found(files, notes, tree, replace(SEARCH, **options))
    assert (len(hits), read) == (1, 0)


def test_a_binary_file_is_found_only_by_its_own_path(files, notes):
    tree = files.tree(a=LONG + b"\0needle\n")
    assert found(files, notes, tree)[0] == []
    assert len(found(files, notes, tree, replace(SEARCH, paths=("a",)))[0]) == 1
    assert found(files, notes, tree)[0] == []


def test_two_trees_that_take_turns_are_both_known(files, notes):
    one, other = files.tree(a=LONG), files.tree(a=LONG * 2)
    assert [found(files, notes, tree)[1] for tree in (one, other, one, other)] == [1, 1, 0, 0]


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_damaged_notes_are_as_good_as_none(files, notes, tmp_path, damage):
    tree = files.tree(a=LONG + b"needle\n")
    found(files, notes, tree)
    [kept] = (tmp_path / "searches").iterdir()
    if damage is None:
        notes.put(kept.name, ["not", "a", "table"])
    else:
        kept.write_bytes(damage)
    assert found(files, notes, tree) == ([("a", 2, "needle\n")], 1)


def test_notes_are_bounded(tmp_path):
    notes = Notes(tmp_path / "notes", 3)
    for number in range(6):
        notes.put(f"n{number}", number)
    assert len(list((tmp_path / "notes").iterdir())) == 3


def test_notes_that_can_not_be_written_are_no_error(tmp_path):
    (tmp_path / "notes").write_text("in the way")
    notes = Notes(tmp_path / "notes", 3)
    notes.put("a", 1)
    assert notes.get("a") is None
