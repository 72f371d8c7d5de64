"""Why a command runs: every part of its key, changed alone, is named."""

from dataclasses import replace

import pytest

from pipelines.engine.op import (
    CacheMount,
    CacheVolume,
    DirMount,
    Edge,
    Empty,
    Exec,
    Rootfs,
    SecretRef,
    TempMount,
    Write,
)
from pipelines.engine.reasons import family, portrait, reasons
from pipelines.engine.result import Ran, Snapshot
from pipelines.engine.store.portraits import EACH, KEPT, Portraits
from pipelines.engine.tree import Entry, Tree

IMAGE = Rootfs("sha256:" + "a" * 64, "linux/amd64", "golang:1.26")
SOURCE = Write(Edge(Empty()), "f", b"")
VOLUME = CacheMount("/cache", CacheVolume("go-build"))
EXEC = Exec(
    Edge(IMAGE),
    ("go", "build", "./cmd/x"),
    (("A", "1"), ("B", "2")),
    "/src",
    "",
    "linux/amd64",
    (DirMount("/src", Edge(SOURCE)), VOLUME),
)


def tree(**files):
    entries = {name: Entry("file", 0o644, 1, text * 64) for name, text in files.items()}
    return Tree.of((name.replace("_", "."), entry) for name, entry in entries.items())


def drawn(op=EXEC, source=None, root=("r1",)):
    results = {IMAGE.digest: Snapshot(root), SOURCE.digest: source or tree(a_go="1", b_go="2")}
    return portrait(op, [results.get(edge.op.digest, Snapshot(root)) for edge in op.inputs])


def why(now, *earlier, lost=()):
    return [(r.kind, r.what, r.before, r.after) for r in reasons(now, earlier, lost)]


def test_a_command_that_nothing_is_known_of_runs_for_the_first_time():
    assert why(drawn()) == [("first run", "", "", "")]
    other = drawn(replace(EXEC, args=("go", "vet", "-x", "./...")))
    assert why(drawn(), other) == [("first run", "", "", "")]


def test_a_file_that_changed_came_or_went_is_named_with_its_digests():
    now = drawn(source=tree(a_go="9", c_go="3"))
    assert why(now, drawn()) == [
        ("file", "/src/a.go", "1" * 12 + " 644", "9" * 12 + " 644"),
        ("file", "/src/b.go", "2" * 12 + " 644", ""),
        ("file", "/src/c.go", "", "3" * 12 + " 644"),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"env": (("A", "1"), ("B", "3"))}, ("environment", "B", "2", "3")),
        ({"env": (("A", "1"),)}, ("environment", "B", "2", "")),
        ({"workdir": "/"}, ("command", "working directory", "/src", "/")),
        ({"user": "1000"}, ("command", "user", "", "1000")),
        ({"expect": "ANY"}, ("command", "expected result", "SUCCESS", "ANY")),
        (
            {"args": ("go", "build", "./cmd/y")},
            ("command", "arguments", "go build ./cmd/x", "go build ./cmd/y"),
        ),
        (
            {"secret_env": (("TOKEN", SecretRef("t", lambda: b"")),)},
            ("environment", "secrets variables", "", "TOKEN"),
        ),
        ({"mounts": EXEC.mounts[:1]}, ("mount", "/cache", "there", "")),
        ({"mounts": (*EXEC.mounts, TempMount("/tmp"))}, ("mount", "/tmp", "", "there")),
    ],
)
def test_every_part_of_a_command_is_named_when_it_changed(change, reason):
    assert why(drawn(replace(EXEC, **change)), drawn()) == [reason]


def test_another_image_is_named_and_another_root_without_one():
    other = Rootfs("sha256:" + "b" * 64, "linux/amd64", "golang:1.27")
    now = drawn(replace(EXEC, root=Edge(other)), root=("r2",))
    images = ("golang:1.26 aaaaaaaaaaaa", "golang:1.27 bbbbbbbbbbbb")
    assert why(now, drawn()) == [("toolchain", "", *images)]
    debian = Rootfs("sha256:" + "c" * 64, "linux/amd64", "r.org/debian:13")
    now = drawn(replace(EXEC, root=Edge(debian)), root=("r2",))
    assert why(now, drawn()) == [("image", "", images[0], "r.org/debian:13 cccccccccccc")]
    deeper = drawn(root=("r1", "r3"))
    assert why(deeper, drawn()) == [("root", "the root filesystem", "", "r3")]


def test_a_toolchain_is_named_before_what_follows_from_it():
    other = Rootfs("sha256:" + "b" * 64, "linux/amd64", "r.org/library/golang:1.26@sha256:bb")
    volume = CacheMount("/cache", CacheVolume("go-build-1.27"))
    op = replace(EXEC, root=Edge(other), env=(("A", "1"),), mounts=(EXEC.mounts[0], volume))
    assert why(drawn(op), drawn(), lost=["/cache"]) == [
        ("toolchain", "", "golang:1.26 aaaaaaaaaaaa",
         "r.org/library/golang:1.26@sha256:bb bbbbbbbbbbbb"),
        ("environment", "B", "2", ""),
        ("mount", "/cache", "go-build", "go-build-1.27"),
    ]  # fmt: skip


def test_an_image_below_other_commands_is_found():
    above = replace(EXEC, root=Edge(EXEC))
    results = [Ran({"": Snapshot(("r",))}, 0, "", "", ""), tree(a_go="1")]
    assert portrait(above, results)["image"] == ["golang:1.26 aaaaaaaaaaaa"]


def test_the_likest_command_is_compared_with():
    arm = replace(EXEC, env=(("A", "1"), ("B", "arm")))
    changed = tree(a_go="9", b_go="2")
    found = why(drawn(source=changed), drawn(arm, source=changed), drawn())
    assert [kind for kind, *_ in found] == ["file"]


def files(prefix, count=20, **more):
    return tree(**{f"{prefix}{n}_go": str(n) for n in range(count)}, **more)


def test_a_command_of_another_project_is_none_that_changed():
    mine, other = files("a", go_mod="1", README="1"), files("b", go_mod="2", README="2")
    assert why(drawn(source=mine), drawn(source=other)) == [("first run", "", "", "")]
    flagged = replace(EXEC, args=("go", "build", "./cmd/x", "-v"))
    before = drawn(flagged, source=mine)  # nearer than the other project's, for all its arguments
    assert [r[0] for r in why(drawn(source=mine), drawn(source=other), before)] == ["command"]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(tree(**{f"a{n}_go": "x" for n in range(20)}), id="every content is another"),
        pytest.param(files("a", 8), id="less of it was read"),
        pytest.param(files("a", 200), id="more of it was read"),
        pytest.param(tree(a1_go="2", b_go="3"), id="few files"),
    ],
)
def test_a_large_change_is_still_one(before):
    assert {r[0] for r in why(drawn(source=files("a")), drawn(source=before))} == {"file"}


def test_of_commands_that_are_equally_like_the_one_used_last_is_compared_with():
    now = drawn(source=tree(a_go="1", b_go="9"))
    one = drawn() | {"at": 1.0, "key": "one"}
    two = drawn(source=tree(a_go="8", b_go="9")) | {"at": 2.0, "key": "two"}

    def named(**used):
        return [r.what for r in reasons(now, [one, two], used=lambda keys: used)]

    assert named() == ["/src/a.go"]
    assert named(one=3.0) == ["/src/b.go"]
    assert named(one=3.0, two=4.0) == ["/src/a.go"]


def test_what_does_not_differ_failed_or_was_evicted():
    assert why(drawn(), drawn() | {"failed": True})[0][0] == "failed"
    assert why(drawn(), drawn())[0][0] == "evicted"


def test_a_volume_that_is_empty_again_is_told_beside_the_reason():
    found = why(drawn(), drawn(), lost=["/cache"])
    assert found[1] == ("cache volume", "go-build", "filled", "empty")


def test_no_value_of_a_secret_or_volatile_variable_is_in_a_portrait():
    secret = SecretRef("name", lambda: b"hunter2")
    volatile = {"volatile": (("V", "hunter2"),), "volatile_names": ("V",)}
    op = replace(EXEC, secret_env=(("S", secret),), **volatile)
    assert "hunter2" not in str(drawn(op))


def test_portraits_are_kept_newest_first_and_bounded(tmp_path):
    kept = Portraits(tmp_path)
    for number in range(EACH + 3):
        made = drawn(source=tree(a_go=f"{number % 10}"), root=(f"r{number}",))
        kept.put(family(EXEC), made, kept.of(family(EXEC)))
    found = kept.of(family(EXEC))
    assert [row["root"] for row in found[:2]] == [[f"r{EACH + 2}"], [f"r{EACH + 1}"]]
    assert len(found) == EACH
    assert found[0]["mounts"] == made["mounts"]


def test_the_cells_of_a_large_matrix_do_not_push_one_another_out(tmp_path):
    kept = Portraits(tmp_path)
    cells = [drawn(replace(EXEC, env=(("GOOS", str(n)),))) for n in range(60)]
    for change in "12":
        for cell in cells:
            made = {**cell, "root": [change]}
            kept.put(family(EXEC), made, kept.of(family(EXEC)))
    found = kept.of(family(EXEC))
    assert {row["environment"]["GOOS"] for row in found} == {str(n) for n in range(60)}
    assert len(found) == 120
    for number in range(20):
        made = drawn(replace(EXEC, env=(("GOOS", f"more {number}"),)))
        kept.put(family(EXEC), made, kept.of(family(EXEC)))
    assert len(kept.of(family(EXEC))) == KEPT


def test_an_equal_portrait_replaces_the_one_before(tmp_path):
    kept = Portraits(tmp_path)
    for failed in ({"failed": True}, {}):
        kept.put(family(EXEC), drawn() | failed, kept.of(family(EXEC)))
    assert ["failed" in row for row in kept.of(family(EXEC))] == [False]


@pytest.mark.parametrize("damage", [b"", b"x", b"\x78\x9c\x03\x00\x00\x00\x00\x01"])
def test_damaged_portraits_are_as_good_as_none(tmp_path, damage):
    kept = Portraits(tmp_path)
    kept.put(family(EXEC), drawn(), [])
    (tmp_path / "portraits" / family(EXEC).hex).write_bytes(damage)
    assert kept.of(family(EXEC)) == []
    kept.put(family(EXEC), drawn(), [])
    assert len(kept.of(family(EXEC))) == 1


def test_portraits_that_can_not_be_written_are_no_error(tmp_path):
    (tmp_path / "portraits").write_text("in the way")
    Portraits(tmp_path).put(family(EXEC), drawn(), [])
