"""What builds and tests can read, from the lines of a source."""

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines import Platform
from pipelines.go._closure import closure
from pipelines.go._constraints import Tags
from pipelines.go._survey import (
    FILES,
    MANIFEST_LINES,
    MANIFESTS,
    Line,
    found_modules,
    pattern,
    read,
)
from tests.fake_engine import searched

EXAMPLE = Path(__file__).parents[2] / "examples" / "go_service"
LINUX = Tags.of(Platform("linux", "amd64"), "1.26")
SOURCE = {
    "go.mod": "module example.com/m\n\ngo 1.26\n",
    "go.sum": "",
    "README.md": "read me",
    "cmd/a/main.go": 'package main\n\nimport "example.com/m/lib"\n',
    "cmd/a/main_test.go": 'package main\n\nimport "example.com/m/fake"\n',
    "cmd/b/main.go": "package main\n",
    "lib/lib.go": 'package lib\n\nimport (\n\t_ "embed"\n)\n\n//go:embed data/*.json x.txt\n',
    "lib/lib_windows.go": 'package lib\n\nimport "example.com/m/win"\n',
    "lib/lib_test.go": "package lib\n",
    "lib/skipped.go": "//go:build ignore\n\npackage main\n",
    "lib/asm_amd64.s": '#include "textflag.h"\n',
    "lib/asm_arm64.s": '#include "textflag.h"\n',
    "lib/data/1.json": "{}",
    "lib/data/1.yaml": "",
    "lib/x.txt": "",
    "lib/y.txt": "",
    "lib/testdata/golden.md": "",
    "lib/testdata/case/in.go": "package broken {",
    "win/win.go": "package win\n",
    "fake/fake.go": "package fake\n",
}

UNLOADABLE = [
    "",
    "// nothing yet\n",
    "package other\n",
    "package other_test\n",
    "//go:build linux\n//go:build amd64\n\npackage lib\n",
    "//go:build linux &&\n\npackage lib\n",
    'package lib\n\nimport "C"\n',
    'package lib\n\nimport (\n\t"fmt"\n\t"C"\n)\n',
]
LOADABLE = [
    "package lib\n",
    "package lib_test\n",
    "//go:build linux\n\npackage lib_test\n",
    "// +build linux\n\npackage lib\n",
    "/*\nCopyright\n*/\n\n//go:build linux\n\npackage lib\n",
    "package lib\n\nfunc broken( {\n",
    'package lib\n\nvar c = languages["C"]\n',
    "//go:build windows\n\npackage other\n",
]


def surveyed(files):
    def lines(wanted, globs):
        return [Line(**row) for row in searched(files, wanted, globs)]

    modules = found_modules(lines(MANIFEST_LINES, MANIFESTS))
    return read(sorted(files), modules, lines(pattern(modules), FILES))


def found(*packages, files=None, tags=LINUX, **options):
    return closure(surveyed(SOURCE | (files or {})), tags, packages, **options)


def test_a_build_reads_its_closure_and_what_that_embeds():
    assert found("./cmd/a").paths == (
        "cmd/a/main.go", "go.mod", "go.sum", "lib/asm_amd64.s", "lib/data/1.json", "lib/lib.go",
        "lib/x.txt",
    )  # fmt: skip


def test_another_platform_reads_other_files():
    windows = Tags.of(Platform("windows", "arm64"), "1.26")
    paths = found("./cmd/a", tags=windows).paths
    assert {"lib/lib_windows.go", "lib/asm_arm64.s", "win/win.go"} <= set(paths)
    assert "lib/asm_amd64.s" not in paths


def test_a_tag_lets_a_file_in():
    ignore = dataclasses.replace(LINUX, chosen=frozenset({"ignore"}))
    assert "lib/skipped.go" in found("./cmd/a", tags=ignore).paths


def test_all_packages_of_a_pattern_are_roots_but_not_testdata():
    paths = set(found("./...").paths)
    assert {"cmd/a/main.go", "cmd/b/main.go", "fake/fake.go", "win/win.go"} <= paths
    assert not {"lib/testdata/case/in.go", "lib/lib_test.go", "README.md"} & paths


def test_a_package_may_be_named_by_its_import_path():
    assert found("example.com/m/cmd/a") == found("./cmd/a")
    assert found("example.com/m/cmd/...") == found("./cmd/...")


def test_tests_read_their_own_test_files_and_what_these_import():
    paths = set(found("./cmd/a", tests=True).paths)
    assert {"cmd/a/main_test.go", "fake/fake.go", "lib/lib.go"} <= paths
    assert not {"lib/lib_test.go", "cmd/b/main.go"} & paths


def test_tests_read_what_lies_beside_them():
    paths = set(found("./lib", tests=True).paths)
    assert {"lib/testdata/golden.md", "lib/testdata/case/in.go", "lib/y.txt"} <= paths
    assert "README.md" not in paths


def test_a_document_counts_when_a_test_names_one_or_lists_directories():
    root = {"root_test.go": "package m\n"}
    assert "README.md" not in found(".", files=root, tests=True).paths
    for line in ('var x = "README.md"', 'os.ReadDir(".")', "filepath.WalkDir(root, f)"):
        files = {"root_test.go": f"package m\n\n{line}\n"}
        assert "README.md" in found(".", files=files, tests=True).paths, line


def test_a_path_upwards_is_followed():
    files = {"lib/lib_test.go": 'package lib\n\nvar p = "../fixtures/x"\n', "fixtures/x/1": ""}
    assert "fixtures/x/1" in found("./lib", files=files, tests=True).paths
    files["lib/lib_test.go"] = 'package lib\n\nvar p = "../fixtures/x%d"\n'
    assert "fixtures/x/1" in found("./lib", files=files, tests=True).paths


def test_a_path_upwards_may_begin_with_another_name():
    files = {"lib/lib_test.go": 'package lib\n\nvar p = "x/../../fixtures/x"\n', "fixtures/x/1": ""}
    assert "fixtures/x/1" in found("./lib", files=files, tests=True).paths


@pytest.mark.parametrize(
    "line",
    [
        'if p == ".." {',
        'strings.HasPrefix(clean(p), "../")',
        '\tcase "..":',
        '// It begins with "..".',
    ],
)
def test_a_path_that_is_only_compared_is_not_followed(line):
    files = {"lib/more.go": f"package lib\n\n{line}\n"}
    assert not found("./lib", files=files, tests=True).whole


def test_what_tests_call_reads_from_where_the_tests_are():
    files = {
        "lib/lib_test.go": 'package lib\n\nimport "example.com/m/inner/deep/helper"\n',
        "inner/deep/helper/h.go": 'package helper\n\nvar p = "../fixtures/x"\n',
        "fixtures/x/1": "",
    }
    assert "fixtures/x/1" in found("./lib", files=files, tests=True).paths


def test_a_test_that_loads_packages_reads_all_code_and_no_document():
    files = {"lib/lib_test.go": "package lib\n\nvar p, _ = packages.Load(c, pattern)\n"}
    every = {*SOURCE, *files} - {"README.md"}
    assert set(found("./lib", files=files, tests=True).paths) == every


@pytest.mark.parametrize("text", UNLOADABLE)
@pytest.mark.parametrize("package", ["./lib", "./cmd/a", "./..."])
def test_a_build_reads_a_test_file_that_go_may_refuse_its_package_for(text, package):
    assert "lib/lib_test.go" in found(package, files={"lib/lib_test.go": text}).paths
    assert "lib/lib_test.go" not in found("./cmd/b", files={"lib/lib_test.go": text}).paths


@pytest.mark.parametrize("text", LOADABLE)
def test_a_build_reads_no_test_file_that_go_can_load_or_passes_over(text):
    assert "lib/lib_test.go" not in found("./...", files={"lib/lib_test.go": text}).paths


@pytest.mark.network
@pytest.mark.parametrize("text", [*UNLOADABLE, *LOADABLE])
def test_go_itself_refuses_a_package_for_just_those_test_files(text, tmp_path):
    if shutil.which("go") is None:
        pytest.skip("no Go on this host")
    files = {"go.mod": SOURCE["go.mod"], "lib.go": "package lib\n", "lib_test.go": text}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    env = {**os.environ, "CGO_ENABLED": "0", "GOOS": "linux", "GOCACHE": str(tmp_path / "cache")}
    asked = ["go", "list", "-f", "{{.Name}}", "."]
    made = subprocess.run(asked, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert (made.returncode != 0) is (text in UNLOADABLE), made.stderr


def test_a_package_of_tests_alone_brings_none_to_a_build():
    tests = {"e2e/a_test.go": "package e2e\n", "e2e/b_test.go": "package e2e_test\n"}
    assert not set(tests) & set(found("./...", files=tests).paths)


def test_of_which_package_a_directory_is_files_in_doubt_do_not_decide():
    ruled = {"lib/gen.go": "/* by hand */\n//go:build ignore\n\npackage main\n"}
    assert "lib/lib_test.go" not in found("./lib", files=ruled).paths
    alone = {"lib/lib.go": "// +build linux\n\npackage lib\n"}
    assert "lib/lib_test.go" not in found("./lib", files=alone).paths


def test_vet_looks_at_the_files_of_a_tested_package_for_other_targets():
    others = {"lib/lib_windows.go", "lib/skipped.go", "lib/asm_arm64.s"}
    assert others <= set(found("./lib", tests=True).paths)
    assert not others & set(found("./cmd/a", tests=True).paths)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('filepath.Join("..", name)', "names '..'"),
        ('filepath.Join("../..", "..", name)', "names '../..'"),
        ("os.Getwd()", "runs Go itself"),
        ('run(t, "go", "list", "./...")', "runs Go itself"),
        ('exec.LookPath("go")', "runs Go itself"),
        ('exec.Command("go", "build", ".")', "runs Go itself"),
        ("runtime.Caller(0)", "runs Go itself"),
        ("runtime.CallersFrames(pcs)", "runs Go itself"),
        ("runtime.FuncForPC(pc).FileLine(pc)", "runs Go itself"),
    ],
)
def test_tests_that_may_read_anything_read_everything(line, why):
    files = {"lib/lib_test.go": f"package lib\n\n{line}\n"}
    assert why in found("./lib", files=files, tests=True).whole
    assert not found("./lib", files=files).whole


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        ({"lib/c.go": 'package lib\n\n// #include "../x.h"\nimport "C"\n'}, "./lib"),
        ({"lib/c.go": 'package lib\n\n/*\n#cgo CFLAGS: -I../inc\n*/\nimport "C"\n'}, "./lib"),
        ({"lib/asm_amd64.s": '#include "../x.h"\n'}, "./lib"),
        ({"lib/empty.go": ""}, "./lib"),
        ({"go.mod": ""}, "./lib"),
        ({"go.mod": "module (\n\texample.com/m\n)\n"}, "./lib"),
        ({"n/go.mod": ""}, "./lib"),
        ({}, "./lib/lib.go"),
        ({}, "./nothing"),
        ({}, "./l.../x"),
        ({}, "golang.org/x/tools/cmd/goimports"),
        ({}, "all"),
    ],
)
def test_what_is_not_understood_reads_everything(files, pattern):
    assert found(pattern, files=files).whole


def test_a_constraint_in_doubt_lets_a_file_in():
    for head in (
        "// +build windows\n\n",
        "/*\n//go:build windows\n*/\n",
        "//go:build windows\n//go:build linux\n",
        "//go:build windows &&\n",
    ):
        assert "lib/odd.go" in found("./lib", files={"lib/odd.go": f"{head}package lib\n"}).paths
    after = "package lib\n\n//go:build windows\n"
    assert "lib/odd.go" in found("./lib", files={"lib/odd.go": after}).paths


@pytest.mark.parametrize(
    "line",
    [
        'import x "example.com/m/fake"',
        "import(`example.com/m/fake`)",
        '\t/* x */ . "example.com/m/fake" // y',
    ],
)
def test_an_import_is_found_however_it_is_written(line):
    files = {"lib/more.go": f"package lib\n\n{line}\n"}
    assert "fake/fake.go" in found("./lib", files=files).paths


@pytest.mark.parametrize("line", ["//go:embed data", "//go:embed all:data", '//go:embed "data"',
                                  "//go:embed data/[0-9].yaml", "//go:embed *"])  # fmt: skip
def test_an_embedded_directory_is_read_whole(line):
    files = {"lib/more.go": f"package lib\n\n{line}\nvar f embed.FS\n"}
    assert "lib/data/1.yaml" in found("./lib", files=files).paths


def test_modules_beside_and_below_are_followed():
    files = {
        "go.mod": "module example.com/m\n\nreplace example.com/n v1.0.0 => ./third/n\n",
        "third/n/go.mod": "module example.com/other\n",
        "third/n/n.go": "package n\n",
        "cmd/b/main.go": 'package main\n\nimport "example.com/n"\n',
        "tools/go.mod": "module example.com/m/tools\n",
        "tools/t.go": "package tools\n",
    }
    assert {"third/n/n.go", "tools/go.mod"} <= set(found("./cmd/b", files=files).paths)
    assert found(".", files=files, module="tools").paths[-1] == "tools/t.go"


def test_of_modules_with_one_path_each_may_be_meant():
    files = {"lib/testdata/go.mod": "module example.com/m\n", "z/go.mod": "module example.com/m\n"}
    assert "lib/lib.go" in found("./cmd/a", files=files).paths


def test_a_module_inside_of_another_s_path_hides_no_package():
    files = {"cmd/b/main.go": 'package main\n\nimport "example.com/m/win"\n',
             "old/go.mod": "module example.com/m/win\n"}  # fmt: skip
    assert "win/win.go" in found("./cmd/b", files=files).paths


def test_vendored_packages_are_read_whole():
    files = {"vendor/modules.txt": "", "vendor/x/x.go": "package x\n", "vendor/x/LICENSE": ""}
    assert set(files) <= set(found("./cmd/b", files=files).paths)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("tests", [False, True])
@pytest.mark.parametrize("target", ["linux/amd64", "darwin/arm64", "windows/amd64"])
def test_nothing_that_go_itself_lists_is_missing(target, tests, tmp_path):
    """The referee is `go list`, on the example service."""
    if shutil.which("go") is None:
        pytest.skip("no Go on this host")
    platform = Platform.parse(target)
    names = [p.relative_to(EXAMPLE).as_posix() for p in EXAMPLE.rglob("*") if p.is_file()]
    files = {name: (EXAMPLE / name).read_text(errors="replace") for name in names}
    ours = closure(surveyed(files), Tags.of(platform, "1.26"), ["./..."], tests=tests)
    assert not ours.whole
    assert listed(platform, tests) <= set(ours.paths)


def listed(platform, tests):
    fields = ["GoFiles", "SFiles", "EmbedFiles"]
    fields += ["TestGoFiles", "XTestGoFiles", "TestEmbedFiles"] if tests else []
    asked = subprocess.run(
        [
            "go",
            "list",
            "-deps",
            *(["-test"] if tests else []),
            f"-json=Dir,{','.join(fields)}",
            "./...",
        ],
        cwd=EXAMPLE,
        env={**os.environ, "GOOS": platform.os, "GOARCH": platform.arch, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = json.loads("[" + asked.replace("}\n{", "},{") + "]")
    return {
        os.path.relpath(os.path.join(row["Dir"], name), EXAMPLE)
        for row in rows
        if Path(row["Dir"]).is_relative_to(EXAMPLE)
        for kind in fields
        for name in row.get(kind, ())
        if not name.startswith("/")
    }
