import os
from functools import partial

import pytest

from pipelines.engine.digest import digest_bytes
from pipelines.engine.result import Snapshot
from pipelines.engine.store.verify import Problem
from pipelines.engine.store.verify import verify as verify_with_owners
from pipelines.engine.tree import Tree

KEY = digest_bytes(b"key")
A, B = "a" * 64, "b" * 64


def damage(path):
    path.chmod(0o600)
    path.write_bytes(b"damaged")


def kinds(found):
    return [(p.kind, p.name) for p in found]


@pytest.fixture
def verify(owners):
    return partial(verify_with_owners, owners=owners)


@pytest.fixture
def tree(files, records):
    made = Tree({"f": files.write(b"x")})
    records.put([KEY], made)
    return made


def test_a_whole_store_has_no_problem(verify, layout, tree):
    assert verify(layout, [A], lambda layer: layer) == []


def test_a_damaged_blob_is_found_and_repaired(verify, layout, blobs, tree):
    digest = blobs.put(b"x")
    damage(blobs.path(digest))
    assert verify(layout, deep=False) == []
    assert kinds(verify(layout, repair=True)) == [("blob", digest.hex)]
    assert not blobs.has(digest)
    assert verify(layout) == []


def test_a_damaged_file_is_found_and_repaired(verify, layout, files, tree):
    damage(files.path(tree["f"]))
    assert kinds(verify(layout, repair=True)) == [("file", files.name(tree["f"]))]
    assert not files.has(tree["f"])


def test_a_file_of_another_mode_is_found(verify, layout, files, tree):
    files.path(tree["f"]).chmod(0o777)
    assert kinds(verify(layout)) == [("file", files.name(tree["f"]))]


def test_names_that_are_none_are_found_without_reading(verify, layout):
    (layout.blobs / "junk").touch()
    (layout.files / "ab").mkdir()
    (layout.files / "ab" / "junk").touch()
    found = verify(layout, deep=False, repair=True)
    assert kinds(found) == [("blob", "junk"), ("file", "ab/junk")]
    assert os.listdir(layout.files / "ab") == []


def test_a_damaged_layer_goes_with_its_records(verify, layout, records):
    gone = []
    records.put([KEY], Snapshot((A, B)))
    found = verify(layout, [A, B], lambda layer: A, gone.append, repair=True)
    assert kinds(found) == [("layer", B), ("record", KEY)]
    assert gone == [B]
    assert list(records.rows()) == []


def test_a_record_without_its_tree_is_found(verify, layout, blobs, records, tree):
    blobs.remove(tree.digest)
    assert kinds(verify(layout, repair=True)) == [("record", KEY)]
    assert verify(layout) == []


def test_a_problem_says_what_was_seen():
    assert str(Problem("blob", "ab", "its content is another")) == "blob ab: its content is another"
