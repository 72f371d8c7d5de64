import pytest

from pipelines.engine.travel.results import Found, Record, blob_name, files_name, layer_name

IMAGE, OWN = "1" * 64, "2" * 64
RAN = {
    "ran": {"": [IMAGE, OWN]},
    "exit": 0,
    "stdout": "sha256:" + "a" * 64,
    "stderr": "sha256:" + "b" * 64,
    "combined": "sha256:" + "a" * 64,
    "network": "private",
}


def record(**more):
    return Record(RAN, "Exec", 1.5, 0.5, images=(IMAGE,), inline={"a" * 64: b"\0out"}, **more)


def found(*trees, content=None):
    return Found({"key": record().encode() if content is None else content}, set(trees))


def test_a_record_comes_back_as_it_was():
    assert Record.decode(record(used=3).encode()) == record(used=3)


def test_a_record_needs_its_own_layers_and_its_large_blobs():
    assert [*record().trees] == [layer_name(OWN), blob_name("b" * 64)]


def test_a_tree_needs_its_files():
    tree = Record({"tree": "sha256:" + "c" * 64}, inline={"c" * 64: b""})
    assert [*tree.trees] == [files_name("c" * 64)]


def test_a_record_counts_only_if_all_that_it_names_can_be_had():
    offered = layer_name(OWN), blob_name("b" * 64)
    assert found(*offered).find("key", lambda _: False) == record()
    assert found(offered[0]).find("key", lambda _: False) is None
    assert found(offered[0]).find("key", lambda name: name == offered[1]) == record()
    assert found(*offered).find("other", lambda _: False) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"{}", b'{"result": {}}', b'{"result": {"ran": 1}}',
     b'{"result": {"tree": "x"}}', b'{"result": {"snapshot": ["../../etc"]}}',
     b'{"result": {"snapshot": []}, "inline": {"a": "*"}}'],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_a_miss(content):
    assert found(content=content).find("key", lambda _: True) is None


def test_last_use_only_grows():
    assert record(used=7).after(3).used == 7
    assert record(used=3).after(7).used == 7
