"""Which lines of files for other targets `go vet` may refuse; Go itself is asked."""

import os
import re
import shutil
import subprocess

import pytest

from pipelines import Platform
from pipelines.go._closure import closure, everything
from pipelines.go._constraints import Tags, well_formed
from tests.go.test_go_closure import surveyed

LINUX = Tags.of(Platform("linux", "amd64"), "1.26")
PLAIN = {
    "no constraint": "package {p}\n",
    "one": "//go:build plan9\n\npackage {p}\n",
    "after a comment": "// Copyright\n\n//go:build plan9 && !(arm || go1.18)\n\npackage {p}\n",
    "a word like a release": "//go:build gofuzz\n\npackage {p}\n",
    "other directives": "package {p}\n\n//go:noinline\nfunc f() {{}}\n",
}
ODD = {
    "misplaced": "package {p}\n\n//go:build plan9\n",
    "within a comment": "/*\n//go:build plan9\n*/\n\npackage {p}\n",
    "twice": "//go:build plan9\n//go:build arm\n\npackage {p}\n",
    "a space": "// x\n// go:build plan9 //go:build x\n\npackage {p}\n",
    "no expression": "//go:build plan9 &&\n\npackage {p}\n",
    "a double no": "//go:build !!plan9\n\npackage {p}\n",
    "a release that is none": "//go:build plan9 || go.18\n\npackage {p}\n",
    "a minor release": "//go:build go1.18.1\n\npackage {p}\n",
    "an old one that differs": "//go:build plan9\n// +build arm\n\npackage {p}\n",
    "an old one late": "package {p}\n\n// +build arm\n",
    "an old one without room": "// +build arm\npackage {p}\n",
    "an old one that is malformed": "// see +build\n\npackage {p}\n",
    "an old one with a dash": "// +build a-b\n\npackage {p}\n",
    "debug in a library": "//go:debug panicnil=1\n\npackage {p}\n",
    "debug late": "package main\n\n//go:debug panicnil=1\n",
    "a space that is none": "package {p}\n\n//go:noinline\u00a0\nfunc f() {{}}\n",
    "at a line's end": "package {p}\n\nvar x = 1 //go:build plan9\n",
}
ASSEMBLY = {
    "a carriage return": "//go:build plan9\r\n\r\nTEXT x(SB)\r\n",
    "debug": "//go:debug panicnil=1\n\nTEXT x(SB)\n",
    "twice": "//go:build plan9\n//go:build arm\n\nTEXT x(SB)\n",
}


def package(number, text, name="x_plan9.go"):
    directory = f"p{number}"
    return {
        f"{directory}/a.go": f"package {directory}\n",
        f"{directory}/{name}": text.format(p=directory),
    }


def doubted(files):
    known = surveyed({"go.mod": "module example.com/m\n\ngo 1.26\n", **files})
    return closure(known, LINUX, ["./..."], tests=True).ignored


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_lines_that_nobody_refuses_are_not_doubted(text):
    assert doubted(package(1, text)) == ()


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_a_line_that_may_be_refused_is_doubted(text):
    assert doubted(package(1, text)) == ("p1/x_plan9.go",)


def test_whatever_go_refuses_is_doubted(tmp_path):
    if (program := shutil.which("go")) is None:
        pytest.skip("no Go on this host")
    cases = [*PLAIN.values(), *ODD.values()]
    files = {"go.mod": "module example.com/m\n\ngo 1.26\n"}
    for number, text in enumerate(cases):
        files |= package(number, text)
    for number, text in enumerate(ASSEMBLY.values(), len(cases)):
        files |= package(number, text, "x_plan9.s")
    for name, text in files.items():
        path = tmp_path / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    env = {**os.environ, "GOCACHE": str(tmp_path / "cache"), "GOTOOLCHAIN": "local"}
    ran = subprocess.run(
        [program, "vet", "-buildtag", "-directive", "./..."], cwd=tmp_path / "m", env=env,
        capture_output=True, text=True,
    )  # fmt: skip
    refused = set(re.findall(r"^(p\d+/x_plan9\.\w+):\d", ran.stderr, re.MULTILINE))
    assert len(refused) >= len(ODD), ran.stderr
    assert refused <= set(doubted(files))


def test_of_a_package_that_is_doubted_all_that_go_passes_over_counts():
    files = package(1, ODD["misplaced"]) | {
        "p1/fine_windows.go": "package p1\n",
        "p1/fine_arm64.s": "",
        "p1/old_test.go": "//go:build ignore\n\npackage p1\n",
        "p1/c.go": 'package p1\n\nimport "C"\n',
        "p1/_hidden.go": "package p1\n",
        "p1/notes.txt": "",
        "p2/fine_windows.go": "package p2\n",
        "p2/p2.go": "package p2\n\nconst Line = `\n//go:build x\n`\n",
    }
    assert doubted(files) == (
        "p1/c.go", "p1/fine_arm64.s", "p1/fine_windows.go", "p1/old_test.go", "p1/x_plan9.go",
    )  # fmt: skip


def test_builds_do_not_vet_and_dependencies_are_not_vetted():
    files = package(1, ODD["misplaced"])
    files["p2/p2.go"] = 'package p2\n\nimport _ "example.com/m/p1"\n'
    known = surveyed({"go.mod": "module example.com/m\n\ngo 1.26\n", **files})
    assert closure(known, LINUX, ["./p1"]).ignored == ()
    assert closure(known, LINUX, ["./p2"], tests=True).ignored == ()


def test_where_everything_may_be_read_every_package_counts():
    known = surveyed({"go.mod": "module example.com/m\n", **package(1, ODD["misplaced"])})
    assert everything("asked", known, ".", tests=True).ignored == ("p1/a.go", "p1/x_plan9.go")
    assert everything("asked", known, ".", tests=False).ignored == ()


@pytest.mark.parametrize("text", ["linux", "!linux && (go1.18 || gofuzz)", "a.b"])
def test_an_expression_is_well_formed(text):
    assert well_formed(text)


@pytest.mark.parametrize("text", ["", "a b", "(a", "!!a", "! !a", "a // b", "go1", "go18", "g1.1"])
def test_an_expression_may_be_refused(text):
    assert not well_formed(text)
