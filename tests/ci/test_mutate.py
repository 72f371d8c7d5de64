"""What the mutation suite does to a tree, and what it says is wrong."""

import os
import random

import pytest

from ci.mutate.judge import Change, find, fingerprints
from ci.mutate.mutations import KINDS, embedded, restored, statement
from ci.mutate.outcome import Exec, Outcome, binaries, verdicts
from ci.mutate.site import Impossible, Options, Site, State
from ci.mutate.table import line, table
from ci.mutate.trees import Node, changed, load, recall, remember, update, write

TREE = {
    name: Node(text.encode())
    for name, text in {
        "go.mod": "module example.com/m\n\ngo 1.25.0\n",
        "go.sum": "a v1 h1:x\nb v1 h1:y\n",
        "README.md": "read me\n",
        "lib/lib.go": (
            'package lib\n\nimport _ "embed"\n\n//go:embed data/*.txt\n'
            "var s string\n\n"
            'var word = "some word"\n\nconst n = 3\n'
        ),
        "lib/lib_test.go": 'package lib\n\nimport "testing"\n\nvar x = 7\n',
        "lib/add_amd64.s": "TEXT ·add(SB), 4, $0\n\tRET\n",
        "lib/data/a.txt": "a\n",
        "lib/testdata/1": "1",
        "lib/testdata/2": "2",
        "lib/testdata/m0123456789/a": "1",
        "cmd/x/main.go": "package main\n\nfunc main() {}\n",
    }.items()
} | {"lib/testdata/link": Node(b"", 0o777, "1")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_changes_something(kind):
    past = [State({**TREE, "old.go": Node(b"package old\n")})]
    for number in range(50):
        site = Site(State(TREE), random.Random(number), past)
        try:
            kind(site)
        except Impossible:
            continue
        assert site.touched or site.moved or (site.files, site.options) != (TREE, Options())
        assert (not site.same_times) or all(
            len(site.files[n].data) == len(TREE[n].data) for n in changed(TREE, site.files)
        )
        return
    pytest.fail("it was never possible")


def test_a_kind_that_finds_nothing_to_change_says_so():
    with pytest.raises(Impossible):
        restored(Site(State(TREE), random.Random(1), [State(TREE)]))


def test_equal_chance_makes_equal_mutations():
    sites = [Site(State(TREE), random.Random(3)) for _ in range(2)]
    for site in sites:
        statement(site)
    assert sites[0].files == sites[1].files


def test_embedded_files_are_found():
    assert embedded(Site(State(TREE), random.Random(1))) == ["lib/data/a.txt"]


def test_a_directory_is_brought_from_one_tree_to_another(tmp_path):
    write(tmp_path, TREE)
    after = {n: node for n, node in TREE.items() if not n.startswith("cmd/")}
    after |= {"lib/testdata/link": Node(b"", 0o777, "2"), "new/x": Node(b"#!", 0o755)}
    untouched = os.stat(tmp_path / "README.md").st_mtime_ns
    update(tmp_path, TREE, after)
    assert load(tmp_path) == after
    assert not (tmp_path / "cmd").exists()
    assert os.stat(tmp_path / "README.md").st_mtime_ns == untouched


def test_a_state_is_named_by_every_file_and_option():
    named = {
        State(tree, options).digest
        for tree in (TREE, {**TREE, "README.md": Node(b"")}, {**TREE, "x": Node(b"", 0o755)})
        for options in (Options(), Options(tags="x"), Options(private="x"))
    }
    assert len(named) == 9
    assert State(dict(reversed(TREE.items()))).digest == State(TREE).digest


def test_an_edit_can_leave_times_as_they_were(tmp_path):
    write(tmp_path, TREE)
    os.utime(tmp_path / "README.md", (1, 1))
    update(tmp_path, TREE, {**TREE, "README.md": Node(b"eat me!\n")}, same_times=True)
    assert os.stat(tmp_path / "README.md").st_mtime == 1


def test_a_tree_that_was_kept_comes_back(tmp_path):
    remember(tmp_path, "1", TREE)
    assert recall(tmp_path, "1") == TREE


def test_verdicts_are_read_from_what_go_prints():
    printed = (
        "--- FAIL: TestA (0.00s)\nFAIL\nFAIL\tm/a\t0.01s\nok  \tm/b\t0.2s\nok  \tm/c\t(cached)\n"
        "?   \tm/d\t[no test files]\nFAIL\tm/e [build failed]\nFAIL\n"
    )
    assert verdicts(printed, 1) == {
        "m/a": "failed", "m/b": "passed", "m/c": "passed", "m/d": "no tests", "m/e": "not built",
        "go test": "failed",
    }  # fmt: skip


def test_a_binary_that_is_not_there_is_told_from_one_that_is(tmp_path):
    (tmp_path / "linux_amd64-._cmd_x").mkdir()
    (tmp_path / "linux_amd64-._cmd_x/x").write_bytes(b"1")
    found = binaries(tmp_path, ("linux/amd64 ./cmd/x", "linux/arm64 ./cmd/x"))
    assert found["linux/amd64 ./cmd/x"].startswith("x ")
    assert found["linux/arm64 ./cmd/x"] == ""


def outcome(*execs, test="passed", binary="x 1"):
    return Outcome({"go test": test}, {"linux/amd64 .": binary}, execs)


def ran(*reasons, target="test"):
    return Exec(target, "go test", True, tuple(reasons), len(reasons))


FILE = {"kind": "file", "what": "/src/a.go"}
EDIT = Change(frozenset({"a.go"}))
NEW = {"test": True, "linux/amd64 .": False}


def test_a_round_in_which_all_is_well_has_no_findings():
    found = find(outcome(ran(FILE)), outcome(), EDIT, NEW)
    assert (found.stale, found.missed, found.wrong) == ([], [], [])
    assert (found.executed, found.needed) == (1, 1)


def test_another_verdict_or_other_bytes_are_stale():
    assert find(outcome(ran(FILE), test="failed"), outcome(), EDIT, NEW).stale == [
        "go test: failed, uncached passed"
    ]
    assert find(outcome(ran(FILE)), outcome(binary="x 2"), EDIT, NEW).stale


def test_new_inputs_that_were_answered_from_the_cache_are_missed():
    cached = Exec("test", "go test", ran=False)
    assert find(outcome(cached), outcome(), EDIT, NEW).missed == ["test"]


@pytest.mark.parametrize(
    "reasons",
    [
        (),
        ({"kind": "file", "what": "/src/b.go"},),
        ({"kind": "first run"},),
        ({"kind": "evicted"},),
        ({"kind": "failed"},),
        ({"kind": "environment", "what": "GOPRIVATE"},),
    ],
)
def test_a_reason_that_is_not_the_mutation_is_wrong(reasons):
    assert find(outcome(ran(*reasons)), outcome(), EDIT, NEW).wrong


def test_what_failed_before_may_run_again():
    failed = outcome(ran({"kind": "failed"}), test="failed")
    assert find(failed, outcome(test="failed"), Change(), NEW).wrong == []


def test_an_option_is_a_reason_where_it_was_changed():
    told = ran({"kind": "environment", "what": "GOPRIVATE"})
    assert not find(outcome(told), outcome(), Change(options=frozenset({"private"})), NEW).wrong


HEADER = {"kind": "file", "what": "/pipelines/ignored/0.h", "before": "1", "after": "2"}
ROOT = {"kind": "root", "what": "the root filesystem"}
PRIVATE = {"kind": "environment", "what": "GOPRIVATE"}


def edited(name):
    return {"kind": "file", "what": f"/src/{name}", "before": "1", "after": "2"}


@pytest.mark.parametrize(
    ("reasons", "target", "right"),
    [
        ([edited("a.go"), HEADER, ROOT], "test", True),
        # A build has the stamp in its command; of no earlier round do both files differ.
        ([edited("a.go")], "linux/amd64 .", False),
        ([edited("a.go"), edited("b.go")], "test", False),
        # Another file came with one that changed; alone it would be no reason.
        ([edited("a.go"), {"kind": "file", "what": "/src/LICENSE", "after": "1"}], "test", True),
        ([{"kind": "file", "what": "/src/LICENSE", "after": "1"}], "test", False),
        ([edited("a.go"), {"kind": "evicted"}], "test", False),
        ([edited("d.go"), PRIVATE], "linux/amd64 .", True),
        ([edited("d.go")], "linux/amd64 .", False),
        ([edited("b.go"), PRIVATE], "linux/amd64 .", False),
        ([HEADER], "test", False),
    ],
)
def test_what_changed_since_an_earlier_run_with_the_options_is_a_reason(reasons, target, right):
    earlier = (
        Change(frozenset({"b.go"})),
        Change(frozenset({"a.go", "c.go"}), frozenset({"stamp"})),
        Change(frozenset({"d.go"}), frozenset({"private"})),
    )
    back = Change(options=frozenset({"tags"}), since=earlier)
    assert (
        bool(find(outcome(ran(*reasons, target=target)), outcome(), back, NEW).wrong) is not right
    )


def packages(test="failed", **found):
    return Outcome({"go test": test, **found}, {})


def test_where_both_sides_are_refused_packages_that_can_not_be_tested_are_equal():
    refused = packages()
    uncached = packages(a="not built", b="no tests")
    assert find(refused, uncached, EDIT, {}).stale == []
    assert find(uncached, refused, EDIT, {}).stale == []


@pytest.mark.parametrize(
    ("ours", "uncached"),
    [
        (packages(), packages(a="passed")),
        (packages(), packages(a="failed")),
        (packages(a="passed"), packages()),
        (packages(), packages(test="passed", a="no tests")),
        (packages(a="not built"), packages(a="not built", b="no tests")),
        (packages(a="passed", b="failed"), packages(a="not built", b="failed")),
    ],
)
def test_a_package_that_one_side_tested_is_not_excused(ours, uncached):
    assert find(ours, uncached, EDIT, {}).stale


def test_what_a_target_reads_is_told_apart_by_content_mode_and_options():
    read = {"test": frozenset({"lib/lib.go", "gone.go"})}
    prints = {
        fingerprints(read, tree, options)["test"]
        for tree in (TREE, {**TREE, "lib/lib.go": Node(TREE["lib/lib.go"].data, 0o755)})
        for options in (Options(), Options(tags="x"))
    }
    assert len(prints) == 4
    other = {**TREE, "README.md": Node(b"")}
    assert fingerprints(read, other, Options())["test"] in prints


def test_the_table_counts_by_kind_and_names_what_is_wrong():
    row = {"round": 1, "kind": "same_times", "stale": ["x"], "missed": [], "wrong": [], "files": [],
           "executed": 2, "needed": 1, "ours": 1.0, "uncached": 3.0}  # fmt: skip
    assert "| same times | 1 | 1 | 0 | 0 | 2 | 1 | 1 | 3 |" in table({"p": [row]})
    assert line("p", row).endswith("\n    stale: x")
