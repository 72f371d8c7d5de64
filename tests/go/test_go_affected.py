"""Which packages a change reaches: never too few."""

import random

import pytest

from pipelines.go._affected import reached
from pipelines.go._constraints import Tags
from tests.go.test_go_closure import surveyed

TAGS = Tags.of(None, "1.26", cgo=False, race=False, chosen=())
SOURCE = {
    "go.mod": "module m\n",
    "README.md": "",
    "a/a.go": "package a\n",
    "a/a_test.go": "package a\n",
    "a/testdata/x": "1",
    "b/b.go": 'package b\n\nimport "m/a"\n',
    "b/b_test.go": "package b\n",
    "c/c.go": "package c\n",
    "c/c_test.go": 'package c\n\nimport "m/b"\n',
    "up/up_test.go": 'package up\n\nvar x = "../a/testdata"\n',
    "go/go_test.go": "package g\n\nfunc x() { runtime.Caller(0) }\n",
}
PACKAGES = ["a", "b", "c", "go", "up"]


def reach(**changes):
    """Change files (None removes one); give which packages that reaches."""
    after = {**SOURCE, **{k: v for k, v in changes.items() if v is not None}}
    changed = {}
    for name, text in changes.items():
        changed[name] = "removed" if text is None else "changed" if name in SOURCE else "added"
        if text is None:
            del after[name]
    packages = sorted({name.split("/")[0] for name in after if name.endswith(".go")})
    return reached(packages, changed, [surveyed(after), surveyed(SOURCE)], TAGS)


@pytest.mark.parametrize(
    ("path", "packages"),
    [
        ("README.md", ["go"]),  # `go` may read everything
        ("a/a.go", ["a", "b", "c", "go"]),
        ("a/a_test.go", ["a", "go"]),
        ("a/testdata/x", ["a", "go", "up"]),
        ("b/b.go", ["b", "c", "go"]),
        ("c/c_test.go", ["c", "go"]),
        ("go.mod", PACKAGES),
    ],
)
def test_a_changed_file_reaches_who_can_read_it(path, packages):
    assert sorted(reach(**{path: SOURCE[path] + "\n// edited\n"})) == packages


def test_the_reason_names_the_file_and_what_became_of_it():
    assert reach(**{"a/a.go": "package a\n\n"})["c"] == "a/a.go changed"
    assert reach(**{"a/a_test.go": None})["a"] == "a/a_test.go removed"
    assert reach(**{"a/new.go": "package a\n"})["b"] == "a/new.go added"
    assert "runs Go itself" in reach(**{"README.md": "x"})["go"]


def test_a_new_package_is_reached():
    assert reach(**{"d/d.go": "package d\n"})["d"] == "it is new"


def test_a_file_that_was_read_and_is_gone_reaches_who_read_it():
    assert sorted(reach(**{"a/testdata/x": None})) == ["a", "go", "up"]


def test_an_import_that_is_gone_reaches_who_had_it():
    assert "b" in reach(**{"b/b.go": "package b\n"})


def test_nothing_is_reached_by_nothing():
    assert reach() == {}


@pytest.mark.parametrize("seed", range(30))
def test_what_is_not_reached_has_the_same_inputs_as_before(seed):
    """Checked against the sets themselves, over random edits."""
    from pipelines.go._closure import closure

    chance = random.Random(seed)
    names = chance.sample(sorted(SOURCE), 3)
    edits = {n: chance.choice([None, SOURCE[n] + "\n"]) for n in names if n != "go.mod"}
    after = {k: edits.get(k, v) for k, v in SOURCE.items() if edits.get(k, v) is not None}
    found = reach(**edits)
    for package in {n.split("/")[0] for n in after if n.endswith(".go")} - set(found):
        sets = [
            {
                p: state[p]
                for p in closure(surveyed(state), TAGS, [f"./{package}"], tests=True).paths
            }
            for state in (SOURCE, after)
        ]
        assert sets[0] == sets[1]
