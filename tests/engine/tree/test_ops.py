import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.errors import PathError
from pipelines.engine.patterns import Matcher
from pipelines.engine.sources.host import read
from pipelines.engine.tree import DIRECTORY, Entry, Tree
from pipelines.engine.tree import ops as treeops
from pipelines.engine.tree.paths import resolve, status


def file(content: str = "0", mode: int = 0o644) -> Entry:
    return Entry("file", mode, 1, content)


def tree(*paths: str, **links: str) -> Tree:
    entries = [(p.rstrip("/"), DIRECTORY if p.endswith("/") else file(p)) for p in paths]
    return Tree.of(entries + [(p, Entry("link", 0o777, target=t)) for p, t in links.items()])


# --- paths


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/d/f", "d/f"),
        ("./d//f/", "d/f"),
        ("d/../d/f", "d/f"),
        ("/", ""),
        ("up/f", "d/f"),
        ("abs/f", "d/f"),
        ("out/d/f", "d/f"),
        ("new/x", "new/x"),
    ],
)
def test_a_path_resolves_inside_the_tree(path: str, expected: str) -> None:
    base = tree("d/f", up="./d", abs="/d", out="../../..")
    assert resolve(base, path) == expected


def test_a_path_that_leaves_the_root_is_refused() -> None:
    with pytest.raises(PathError, match="leaves the directory"):
        resolve(tree("d/f"), "d/../../etc")


def test_a_loop_of_links_ends_in_an_error() -> None:
    with pytest.raises(PathError, match="too many levels"):
        resolve(tree(a="b", b="a"), "a/x")
    assert status(tree(a="b", b="a"), "a") is None


def test_a_path_through_a_file_is_refused() -> None:
    with pytest.raises(PathError, match="d/f is a file, not a directory"):
        resolve(tree("d/f"), "d/f/x")


# --- looking


def test_select_gives_what_is_below() -> None:
    assert dict(treeops.select(tree("a/b/c", "x"), "/a")) == dict(tree("b/c").items()) | {
        "b/c": file("a/b/c")
    }
    assert treeops.select(tree("a/b"), "a/b", "file").file == ("b", file("a/b"))


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("nope", "dir", "stat nope: no such file or directory"),
        ("f", "dir", "path f is a file, not a directory"),
        ("d", "file", "path d is a directory, not a file"),
    ],
)
def test_select_says_what_is_wrong(path: str, kind: str, message: str) -> None:
    with pytest.raises(PathError, match=message):
        treeops.select(tree("f", "d/"), path, kind)


def test_entries_and_globs_end_directories_with_a_slash() -> None:
    base = tree("b/c.go", "a", "b/d/")
    assert treeops.entries(base) == ["a", "b/"]
    assert treeops.entries(base, "b") == ["c.go", "d/"]
    assert treeops.match(base, "**/*") == ["a", "b/", "b/c.go", "b/d/"]
    assert treeops.match(base, "**/*.go") == ["b/c.go"]


def test_keep_keeps_the_parents_of_matches_only() -> None:
    base = tree("a/b/x.go", "a/empty/", "c/y.txt")
    assert set(treeops.keep(base, Matcher(("**/*.go",)))) == {"a", "a/b", "a/b/x.go"}


def test_diff_keeps_new_and_changed_with_parents() -> None:
    lower = tree("d/same", "d/old", "gone")
    upper = treeops.write(tree("d/same", "d/old", "new/f"), "d/old", file("changed"))
    assert set(treeops.diff(lower, upper)) == {"d", "d/old", "new", "new/f"}


# --- changing


def test_write_follows_a_link_and_copy_replaces_it() -> None:
    base = tree("real", link="real")
    assert treeops.write(base, "link", file("w"))["real"].content == "w"
    copied = treeops.copy_file(base, Tree({"x": file("c")}), "link")
    assert (copied["link"].content, copied["real"].content) == ("c", "real")


def test_copy_file_goes_into_a_directory_if_the_path_ends_with_a_slash() -> None:
    made = treeops.copy_file(Tree(), Tree({"x": file()}), "a/b/")
    assert set(made) == {"a", "a/b", "a/b/x"}
    assert set(treeops.copy_file(Tree(), Tree({"x": file()}), "a/b")) == {"a", "a/b"}


def test_a_copied_file_never_replaces_a_directory() -> None:
    with pytest.raises(PathError, match="d: it is a directory"):
        treeops.copy_file(tree("d/f"), Tree({"x": file()}), "d")


def test_what_is_copied_as_a_tree_takes_the_place_of_what_is_there() -> None:
    assert set(treeops.copy_tree(tree("d/f", "e"), tree("d"), "/")) == {"d", "e"}
    assert set(treeops.copy_tree(tree("d", "e"), tree("d/f"), "/")) == {"d", "d/f", "e"}
    assert set(treeops.copy_tree(tree("d"), tree("f"), "d")) == {"d", "d/f"}


def test_a_copy_goes_through_a_link_to_a_directory_of_the_base() -> None:
    base = Tree({**tree("usr/lib/a", "file"), "lib": Entry("link", 0o777, target="usr/lib")})
    parts = treeops.parted(base, tree("lib/b/c", "x"), "")
    assert [(at, set(part)) for at, part in parts] == [("", {"x"}), ("usr/lib", {"b", "b/c"})]
    assert treeops.parted(base, tree("file/x"), "") == [("", tree("file/x"))]


def test_copy_tree_merges_and_sets_owner_and_mode_of_what_it_brings() -> None:
    made = treeops.copy_tree(tree("a/old"), tree("n", l="n"), "a", (5, 6), 0o700)
    assert made["a/old"] == file("a/old")
    assert (made["a/n"].mode, made["a/n"].uid, made["a/n"].gid) == (0o700, 5, 6)
    assert (made["a/l"].mode, made["a"]) == (0o777, replace(DIRECTORY, uid=5, gid=6))
    kept = treeops.copy_tree(tree("a/old"), tree("n"), "a")
    assert kept["a"] == DIRECTORY
    assert treeops.copy_tree(Tree(), tree("n"), "p/a", (5, 6))["p"] == DIRECTORY


def test_make_directory_gives_new_parents_the_same_mode() -> None:
    made = treeops.make_directory(tree("a/"), "a/b/c", 0o700)
    assert [made[p].mode for p in ("a", "a/b", "a/b/c")] == [0o755, 0o700, 0o700]


def test_a_link_needs_a_free_name() -> None:
    assert treeops.link(Tree(), "d/l", "../x")["d/l"].target == "../x"
    with pytest.raises(PathError, match="already there"):
        treeops.link(tree("l"), "l", "x")


def test_remove_takes_patterns_and_passes_over_what_is_missing() -> None:
    base = tree("a.log", "d/b.log", "d/keep", "x")
    assert set(treeops.remove(base, ["**/*.log", "nope", "x"])) == {"d", "d/keep"}
    assert set(treeops.remove(base, ["d"])) == {"a.log", "x"}
    assert set(treeops.remove(tree("r/f", l="r"), ["l"])) == {"r", "r/f"}


def test_chown_changes_a_path_and_what_is_below() -> None:
    made = treeops.chown(tree("a/b", "ab"), "a", (1, 2))
    assert {p for p, e in made.items() if (e.uid, e.gid) == (1, 2)} == {"a", "a/b"}
    assert all(e.uid == 1 for e in treeops.chown(made, "/", (1, 2)).values())


def test_touch_pins_times_and_changes_the_digest() -> None:
    base = tree("a")
    assert treeops.touch(base, 7)["a"].mtime == 7
    assert treeops.touch(base, 7).digest != base.digest


def test_rename_needs_a_plain_name() -> None:
    assert treeops.rename(Tree({"a": file()}), "b").file[0] == "b"
    with pytest.raises(PathError, match="not a file name"):
        treeops.rename(Tree({"a": file()}), "x/y")


# --- against a real directory

NAMES = st.sampled_from(["a", "b", "l"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "mkdir", "remove", "link", "copy"]), PATHS, PATHS),
    max_size=12,
)


def on_disk(root: Path, step: str, path: str, other: str) -> None:
    """Do to a directory what the same step does to a tree; raise OSError where it fails."""
    at = root / path
    if step in {"write", "link"}:
        at.parent.mkdir(parents=True, exist_ok=True)
    if step == "write":
        at.write_text(path)
        at.chmod(0o644)
    elif step == "mkdir":
        at.mkdir(parents=True, exist_ok=True)
    elif step == "link":
        os.symlink(root / other, at)
    elif step == "copy":
        shutil.copytree(root / other, root.parent / "taken", symlinks=True)
        shutil.copytree(root.parent / "taken", at, symlinks=True, dirs_exist_ok=True)
    elif os.path.lexists(at):
        shutil.rmtree(at) if at.is_dir() and not at.is_symlink() else at.unlink()


def on_tree(base: Tree, root: Path, step: str, path: str, other: str) -> Tree:
    import hashlib

    if step == "write":
        content = hashlib.sha256(path.encode()).hexdigest()
        return treeops.write(base, path, Entry("file", 0o644, len(path), content))
    if step == "mkdir":
        return treeops.make_directory(base, path)
    if step == "link":
        return treeops.link(base, path, "/" + other)
    if step == "copy":
        return treeops.copy_tree(base, treeops.select(base, other), path)
    return treeops.remove(base, [path])


def as_tree(root: Path) -> Tree:
    """Read the directory, with links as they would be were it the root."""
    found = read(str(root)).tree
    cut = len(str(root))
    return Tree(
        {
            p: Entry("link", 0o777, target=e.target[cut:]) if e.kind == "link" else e
            for p, e in found.items()
        }
    )


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_trees_change_as_directories_do(tmp_path: Path, steps: list) -> None:
    root = tmp_path / os.urandom(8).hex() / "root"
    root.mkdir(parents=True)
    model = Tree()
    for step in steps:
        try:
            changed = on_tree(model, root, *step)
        except PathError:
            continue  # what is refused is claimed by the tests above
        try:
            on_disk(root, *step)
        except (OSError, shutil.Error):
            # mkdir and shutil refuse more than we do, but only where there are links
            if any(e.kind == "link" for e in model.values()):
                return
            raise
        finally:
            shutil.rmtree(root.parent / "taken", ignore_errors=True)
        model = changed
        assert dict(as_tree(root)) == dict(model)
