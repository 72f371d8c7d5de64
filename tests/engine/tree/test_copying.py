"""COPY's rules: what is picked, and where it goes."""

from dataclasses import replace

import pytest

from pipelines.engine import filemode
from pipelines.engine import op as ops
from pipelines.engine.errors import PathError
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree.copying import TreeSource, pick, put


def file(content="", mode=0o644, uid=0):
    return Entry("file", mode, len(content), content, uid=uid, gid=uid)


def link(target):
    return Entry("link", 0o777, target=target)


SOURCE = Tree.of(
    [
        ("go.mod", file("m")), ("go.sum", file("s")), ("main.go", file("x", 0o755)),
        ("cmd/a/a.go", file("a")), ("cmd/b/b.go", file("b")), ("cmd/b/b.txt", file("t")),
        ("docs/x.md", file("d")), ("a*b", file("star")), ("link", link("cmd/a")),
        ("name", link("go.mod")), ("broken", link("nowhere")), ("empty", Entry("dir", 0o700)),
    ]
)  # fmt: skip
BASE = Tree.of([("etc/passwd", file("p")), ("usr/bin/sh", file("sh")), ("bin", link("usr/bin"))])


def copied(*paths, to, base=BASE, **options):
    """Copy paths and tell what is new, by path."""
    picking = {k: options.pop(k) for k in ("exclude", "with_parents") if k in options}
    pieces = [pick(TreeSource(SOURCE), path, **picking) for path in paths]
    made = put(base, pieces, to.strip("/"), into=to.endswith("/") or not to, **options)
    return {p: e for p, e in made.items() if base.get(p) != e}


@pytest.mark.parametrize(
    ("paths", "to", "new"),
    [
        (["go.mod"], "app", ["app"]),
        (["go.mod"], "app/", ["app", "app/go.mod"]),
        (["go.mod"], "usr/bin", ["usr/bin/go.mod"]),
        (["go.mod"], "x/y/z", ["x", "x/y", "x/y/z"]),
        (["go.mod", "go.sum"], "app/", ["app", "app/go.mod", "app/go.sum"]),
        (["go.mod", "go.sum"], "", ["go.mod", "go.sum"]),
        (["cmd"], "app", ["app", "app/a", "app/a/a.go", "app/b", "app/b/b.go", "app/b/b.txt"]),
        (["cmd/a/"], "app/", ["app", "app/a.go"]),
        (["go.*"], "app/", ["app", "app/go.mod", "app/go.sum"]),
        (["cmd/*"], "app/", ["app", "app/a.go", "app/b.go", "app/b.txt"]),
        (["cmd/*/?.go"], "app/", ["app", "app/a.go", "app/b.go"]),
        (["go.[ms]*"], "app/", ["app", "app/go.mod", "app/go.sum"]),
        (["a\\*b"], "app/", ["app", "app/a*b"]),
        (["none*"], "app/", []),
        (["link"], "app/", ["app", "app/a.go"]),
        (["name"], "app/", ["app", "app/name"]),
        (["empty"], "app", ["app"]),
        (["cmd/../go.mod"], "app", ["app"]),
    ],
)
def test_files_and_directories_go_where_docker_puts_them(paths, to, new):
    assert sorted(copied(*paths, to=to)) == new


def test_a_link_to_a_file_brings_the_file():
    assert copied("name", to="app")["app"] == file("m")


def test_a_directory_that_is_there_gets_the_sources_mode_but_not_the_destination():
    base = Tree.of([("app/a", Entry("dir", 0o700)), ("app", Entry("dir", 0o711))])
    assert copied("cmd", to="app", base=base)["app/a"].mode == 0o755
    assert "app" not in copied("cmd", to="app", base=base)


def test_owner_and_mode_are_those_of_new_directories_too():
    new = copied("cmd/a", to="x/y/", owner=(7, 8), mode=filemode.parse("750"))
    assert {(e.uid, e.gid, e.mode) for e in new.values()} == {(7, 8, 0o750)}
    assert set(new) == {"x", "x/y", "x/y/a.go"}


def test_a_symbolic_mode_does_not_touch_links_and_new_parents():
    new = copied("cmd", "main.go", to="x/", mode=filemode.parse("go-rwx"))
    assert new["x"].mode == 0o755
    assert (new["x/a"].mode, new["x/a/a.go"].mode, new["x/main.go"].mode) == (0o700, 0o600, 0o700)


def test_owners_of_a_stage_are_kept():
    source = TreeSource(Tree({"f": file("x", uid=5)}))
    assert put(Tree(), [pick(source, "f")], "g", into=False)["g"].uid == 5


@pytest.mark.parametrize(
    ("exclude", "path", "new"),
    [
        (["*.txt"], "cmd/b", ["app", "app/b.go"]),
        (["*/*.go"], "cmd", ["app", "app/a", "app/b", "app/b/b.txt"]),
        (["**/*.go", "!**/a.go"], "cmd", ["app", "app/a", "app/a/a.go", "app/b", "app/b/b.txt"]),
        (["*.sum"], "go.*", ["app", "app/go.mod"]),
    ],
)
def test_exclude_is_relative_to_what_is_copied(exclude, path, new):
    assert sorted(copied(path, to="app/", exclude=exclude)) == new


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("cmd/a/a.go", ["app", "app/cmd", "app/cmd/a", "app/cmd/a/a.go"]),
        ("cmd/./a/a.go", ["app", "app/a", "app/a/a.go"]),
        ("**/*.go", ["app", "app/cmd", "app/cmd/a", "app/cmd/a/a.go", "app/cmd/b", "app/cmd/b/b.go",
                     "app/main.go"]),
        ("cmd/*/*.txt", ["app", "app/cmd", "app/cmd/b", "app/cmd/b/b.txt"]),
        ("docs", ["app", "app/docs", "app/docs/x.md"]),
    ],
)  # fmt: skip
def test_parents_are_kept_if_that_is_asked_for(path, new):
    assert sorted(copied(path, to="app/", with_parents=True)) == new


@pytest.mark.parametrize(
    ("paths", "to", "said"),
    [
        (["nope"], "app", "nope: not found"),
        (["broken"], "app", "broken: not found"),
        (["go.mod/x"], "app", "go.mod is a file"),
        (["go.mod"], "etc/passwd/x", "/etc/passwd is not a directory"),
        (["cmd"], "etc/passwd", "/etc/passwd is not a directory"),
        (["go.mod", "go.sum"], "app", "several files to /app: end it with a /"),
    ],
)
def test_what_does_not_fit_is_refused(paths, to, said):
    with pytest.raises(PathError) as caught:
        copied(*paths, to=to)
    assert said in str(caught.value)


def test_a_file_is_no_directory_and_the_other_way_round():
    base = Tree.of([("app/go.mod/x", file()), ("app/a", file())])
    with pytest.raises(PathError, match=r"/app/go\.mod: it is a directory"):
        copied("go.mod", to="app/", base=base)
    with pytest.raises(PathError, match="/app/a is no directory"):
        copied("cmd", to="app/", base=base)


def test_what_is_not_picked_does_not_change_the_pieces():
    other = Tree({**SOURCE, "main.go": file("changed")})
    for path in ("go.*", "cmd", "docs/x.md"):
        assert pick(TreeSource(SOURCE), path).digest == pick(TreeSource(other), path).digest
    assert pick(TreeSource(SOURCE), "*.go").digest != pick(TreeSource(other), "*.go").digest


# --- keys --------------------------------------------------------------------------------

BELOW = ops.Edge(ops.Write(ops.Edge(ops.Empty()), "a", b"a"))
OTHER = ops.Edge(ops.Write(ops.Edge(ops.Empty()), "a", b"b"))
PICK = ops.Pick(BELOW, "a", ("x",), parents=True, where="Dockerfile:1")
PUT = ops.Put(BELOW, (BELOW,), "w/", "1:2", "755", "Dockerfile:1")


@pytest.mark.parametrize(
    ("op", "change", "same"),
    [
        (PICK, {"where": "Dockerfile:2"}, True), (PICK, {"base": OTHER}, False),
        (PICK, {"path": "b"}, False), (PICK, {"exclude": ()}, False),
        (PICK, {"parents": False}, False), (PUT, {"where": "x"}, True),
        (PUT, {"base": OTHER}, False), (PUT, {"pieces": (OTHER,)}, False),
        (PUT, {"pieces": (BELOW, BELOW)}, False), (PUT, {"path": "w"}, False),
        (PUT, {"owner": ""}, False), (PUT, {"mode": "700"}, False),
        (ops.Lay(BELOW, BELOW), {"base": OTHER}, False),
        (ops.Lay(BELOW, BELOW), {"upper": OTHER}, False),
        (ops.Extract(BELOW), {"base": OTHER}, False),
    ],
)  # fmt: skip
def test_what_is_read_is_keyed_and_nothing_else(op, change, same):
    assert (replace(op, **change).digest == op.digest) is same


def test_how_a_cache_is_made_is_not_keyed_but_how_it_is_mounted():
    def ran(mount):
        return ops.Exec(BELOW, ("x",), (), "/", "", "linux/amd64", (mount,)).digest

    volume = ops.CacheVolume("k", "dockerfile")
    plain = ran(ops.CacheMount("/c", volume))
    assert ran(ops.CacheMount("/c", replace(volume, mode=0o700, owner="1:1"))) == plain
    assert ran(ops.CacheMount("/c", volume, readonly=True)) != plain
    assert ran(ops.CacheMount("/c", replace(volume, namespace=""))) != plain
