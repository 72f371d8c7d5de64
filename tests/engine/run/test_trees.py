import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine import op as ops
from pipelines.engine.errors import PathError
from pipelines.engine.result import Snapshot
from pipelines.engine.run.trees import Trees
from pipelines.engine.snapshots.copy import Copy
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.tree import Entry, Tree

EDGE = ops.Edge(ops.Empty())
ROOT = os.geteuid() == 0


class Bench:
    """Trees on a real store and real layers, without mounts."""

    def __init__(self, place: Path) -> None:
        layout = Layout.open(place / "store")
        active = place / "active"
        active.mkdir()
        self.layers = layout.snapshots
        self.files = Files(layout, owners=ROOT)
        self.snapshots = Copy(layout.snapshots, active)
        self.rows: dict[str, str] = {}
        self.trees = Trees(
            self.files,
            self.snapshots,
            layout.snapshots,
            recall=self.rows.get,
            record=self.rows.__setitem__,
        )

    def run(self, op: ops.Op, *inputs: Any) -> Any:
        return self.trees.run(op, inputs)

    def tree(self, **files: str) -> Tree:
        return Tree.of(
            (name.replace("__", "/"), self.files.write(text.encode()))
            for name, text in files.items()
        )

    def snapshot(self, tree: Tree) -> Snapshot:
        return Snapshot((self.trees.layer_of(tree),))

    def text(self, value: Any, path: str) -> str:
        picked = self.run(ops.Select(EDGE, path, "file"), value)
        return self.files.read(picked.file[1]).decode()

    def paths(self, value: Any) -> set[str]:
        return set(self.trees.tree(value))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(params=["tree", "snapshot"])
def base(request: pytest.FixtureRequest, bench: Bench) -> Any:
    if request.param == "snapshot" and not ROOT:
        pytest.skip("only root can give the base's files their owners")
    passwd = "root:x:0:0::/:\nweb:x:33:44::/:\n"
    made = bench.tree(etc__passwd=passwd, etc__group="staff:x:50:\n", d__f="old")
    made = Tree({**made, "d": Entry("dir", 0o1777, uid=7), "up": Entry("link", 0o777, target="/d")})
    return made if request.param == "tree" else bench.snapshot(made)


def test_a_written_file_is_there_and_its_parents_keep_their_metadata(
    bench: Bench, base: Any
) -> None:
    made = bench.run(ops.Write(EDGE, "/d/new/x", b"hi", 0o600, "web:staff"), base)
    tree = bench.trees.tree(made)
    assert type(made) is type(base)
    assert bench.text(made, "d/new/x") == "hi"
    assert (tree["d/new/x"].mode, tree["d/new/x"].uid, tree["d/new/x"].gid) == (0o600, 33, 50)
    assert (tree["d"].mode, tree["d"].uid) == (0o1777, 7)
    assert bench.text(made, "d/f") == "old"


def test_links_on_the_way_are_followed_inside(bench: Bench, base: Any) -> None:
    made = bench.run(ops.Write(EDGE, "up/f", b"new"), base)
    assert bench.text(made, "/d/f") == "new"
    assert bench.trees.tree(made)["up"].kind == "link"


def test_a_link_of_an_image_never_leads_outside(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    evil = Tree({"etc": Entry("link", 0o777, target="../../../../../.." + str(outside))})
    made = bench.run(ops.Write(EDGE, "/etc/x", b"hi"), bench.snapshot(evil))
    bench.run(ops.Remove(EDGE, ("/etc/x",)), made)
    assert os.listdir(outside) == []
    assert str(outside)[1:] + "/x" in bench.paths(made)


def test_owners_by_name_come_from_the_base(bench: Bench, base: Any) -> None:
    made = bench.run(ops.MakeDir(EDGE, "home/web", 0o750, "web"), base)
    entry = bench.trees.tree(made)["home/web"]
    assert (entry.mode, entry.uid, entry.gid) == (0o750, 33, 33)
    with pytest.raises(PathError, match="no user 'nobody'"):
        bench.run(ops.MakeDir(EDGE, "x", owner="nobody"), base)


def test_making_what_is_there_changes_nothing(bench: Bench, base: Any) -> None:
    made = bench.run(ops.MakeDir(EDGE, "/d"), base)
    assert made == base if isinstance(base, Snapshot) else dict(made) == dict(base)


def test_copy_merges_filtered_and_owned(bench: Bench, base: Any) -> None:
    source = bench.tree(a__x="1", a__y="2", f="3")
    copy = ops.Copy(EDGE, EDGE, "up", include=("a", "f"), exclude=("**/y",), owner="5")
    made = bench.run(copy, base, source)
    tree = bench.trees.tree(made)
    assert {p for p in tree if p.startswith("d/")} == {"d/a", "d/a/x", "d/f"}
    assert (bench.text(made, "d/f"), tree["d/f"].uid, tree["d"].uid) == ("3", 5, 5)


def test_a_copied_directory_goes_through_a_link_of_the_base(bench: Bench, base: Any) -> None:
    made = bench.run(ops.Copy(EDGE, EDGE, "/"), base, bench.tree(up__x="1", y="2"))
    assert {"d/f", "d/x", "up", "y"} <= bench.paths(made)
    assert "up/x" not in bench.paths(made)


def test_a_copied_directory_takes_the_place_of_a_file(bench: Bench, base: Any) -> None:
    made = bench.run(ops.Copy(EDGE, EDGE, "/"), base, bench.tree(d__f__x="1"))
    assert bench.text(made, "d/f/x") == "1"
    again = bench.run(ops.Copy(EDGE, EDGE, "/"), made, bench.tree(d="2"))
    assert (bench.text(again, "d"), "d/f" in bench.paths(again)) == ("2", False)


def test_copy_honours_gitignore_files_of_the_source(bench: Bench, base: Any) -> None:
    source = Tree({**bench.tree(x="1", y="2"), ".gitignore": bench.files.write(b"y\n")})
    made = bench.run(ops.Copy(EDGE, EDGE, "to", gitignore=True), base, source)
    assert {p for p in bench.paths(made) if p.startswith("to/")} == {"to/.gitignore", "to/x"}


def test_a_file_is_copied_to_a_path_or_into_a_directory(bench: Bench, base: Any) -> None:
    file = bench.tree(name="hi")
    copied = bench.run(ops.Copy(EDGE, EDGE, "bin/", as_file=True, mode=0o755), base, file)
    assert bench.trees.tree(copied)["bin/name"].mode == 0o755
    renamed = bench.run(ops.Copy(EDGE, EDGE, "bin/other", as_file=True), base, file)
    assert bench.text(renamed, "bin/other") == "hi"
    found = bench.run(ops.Copy(EDGE, EDGE, "d", as_file=True), base, file)
    assert bench.text(found, "d/name") == "hi"


def test_a_file_in_place_of_a_directory_is_refused(bench: Bench, base: Any) -> None:
    with pytest.raises(PathError, match="it is a directory"):
        bench.run(ops.Write(EDGE, "up", b""), base)


def test_removal_takes_paths_and_patterns(bench: Bench, base: Any) -> None:
    made = bench.run(ops.Remove(EDGE, ("up", "etc/p*", "nope")), base)
    assert bench.paths(made) == {"d", "d/f", "etc", "etc/group"}
    untouched = bench.run(ops.Remove(EDGE, ("nope", "no*")), base)
    assert bench.paths(untouched) == bench.paths(base)


def test_what_was_removed_can_be_made_again(bench: Bench, base: Any) -> None:
    gone = bench.run(ops.Remove(EDGE, ("d",)), base)
    made = bench.run(ops.Write(EDGE, "d/g", b"new"), gone)
    assert {p for p in bench.paths(made) if p.startswith("d")} == {"d", "d/g"}


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("nope", "dir", "stat nope: no such file or directory"),
        ("up/f", "dir", "path up/f is a file, not a directory"),
        ("up", "file", "path up is a directory, not a file"),
    ],
)
def test_select_says_what_is_wrong(
    bench: Bench, base: Any, path: str, kind: str, message: str
) -> None:
    with pytest.raises(PathError, match=message):
        bench.run(ops.Select(EDGE, path, kind), base)


def test_select_gives_a_tree_whose_files_are_in_the_store(bench: Bench, base: Any) -> None:
    picked = bench.run(ops.Select(EDGE, "up"), base)
    assert set(picked) == {"f"}
    assert bench.files.read(picked["f"]) == b"old"


def test_a_selected_file_keeps_the_name_that_was_asked_for(bench: Bench, base: Any) -> None:
    linked = bench.run(ops.Link(EDGE, "alias", "d/f"), base)
    assert bench.run(ops.Select(EDGE, "alias", "file"), linked).file[0] == "alias"


def test_chown_changes_what_is_below(bench: Bench, base: Any) -> None:
    tree = bench.trees.tree(bench.run(ops.Chown(EDGE, "d", "8:9"), base))
    assert {p for p, e in tree.items() if (e.uid, e.gid) == (8, 9)} == {"d", "d/f"}
    tree = bench.trees.tree(bench.run(ops.Chown(EDGE, "d/f", "8:9"), base))
    assert {p for p, e in tree.items() if (e.uid, e.gid) == (8, 9)} == {"d/f"}


def test_a_tree_becomes_a_layer_once(bench: Bench) -> None:
    tree = bench.tree(a="1")
    layer = bench.trees.layer_of(tree)
    assert list(bench.rows.values()) == [layer]
    assert bench.trees.layer_of(Tree(dict(tree))) == layer
    bench.snapshots.remove(layer)
    assert bench.trees.layer_of(tree) == layer
    assert bench.snapshots.exists(layer)


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_a_layer_with_an_owner_is_theirs_from_the_root_on(bench: Bench) -> None:
    layer = bench.trees.layer_of(bench.tree(a="1"), "5:6")
    for path in (bench.layers / layer / "fs", bench.layers / layer / "fs/a"):
        assert (path.stat().st_uid, path.stat().st_gid) == (5, 6)


def test_the_small_operations(bench: Bench) -> None:
    one = bench.tree(a="x y x", b="2")
    assert bench.run(ops.Empty()) == Tree()
    assert bench.run(ops.Scratch()) == Snapshot()
    assert set(bench.run(ops.Filter(EDGE, exclude=("a",)), one)) == {"b"}
    assert set(bench.run(ops.Diff(EDGE, EDGE), bench.tree(b="2"), one)) == {"a"}
    assert bench.run(ops.Touch(EDGE, 5), one)["a"].mtime == 5
    file = bench.tree(a="x y x")
    assert bench.run(ops.Rename(EDGE, "z"), file).file[0] == "z"


@pytest.mark.parametrize(
    ("every", "first_from", "expected"),
    [(True, None, "z\ny\nz\n"), (False, 1, "z\ny\nx\n"), (False, 2, "x\ny\nz\n")],
)
def test_replacement_takes_all_or_the_first_from_a_line(
    bench: Bench, every: bool, first_from: int | None, expected: str
) -> None:
    replace = ops.Replace(EDGE, "x", "z", every, first_from)
    assert bench.text(bench.run(replace, bench.tree(a="x\ny\nx\n")), "a") == expected


def test_an_ambiguous_or_missing_text_is_refused(bench: Bench) -> None:
    file = bench.tree(a="x\nx\n")
    for search, message in (("x", "found 2 times"), ("q", "not found")):
        with pytest.raises(PathError, match=message):
            bench.run(ops.Replace(EDGE, search, "z"), file)
