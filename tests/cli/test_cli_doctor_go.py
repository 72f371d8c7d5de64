"""What `pipelines doctor go` finds, and what it lets be."""

import pytest

from pipelines.cli.doctor import main
from pipelines.cli.golang.findings import find, goflags, kind


def rules(path, text):
    return [(one.rule, one.line) for one in find(path, text)]


@pytest.mark.parametrize(
    ("path", "line", "rule"),
    [
        ("Makefile", "\tCGO_ENABLED=0 go build -a -o x .", "rebuild-all"),
        ("Dockerfile", "RUN go install -installsuffix nocgo ./...", "installsuffix"),
        (".github/workflows/ci.yml", "      - run: go test -count=1 ./...", "count"),
        ("ci/build.sh", "GOARM=v6 go build .", "goarm"),
        ("Dockerfile", "ENV GOARM=${TARGETVARIANT}", "goarm"),
        (
            ".github/workflows/ci.yml",
            "          key: go-${{ hashFiles('**/go.sum') }}",
            "cache-key",
        ),
        ("a/b_test.go", '\tid := os.Getenv("GITHUB_RUN_ID")', "environment"),
        ("a/b_test.go", '\tos.WriteFile("testdata/out.txt", data, 0o644)', "writes"),
    ],
)
def test_what_costs_is_found_at_its_line(path, line, rule):
    assert rules(path, f"# a comment\n{line}\n") == [(rule, 2)]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("Makefile", "\tgo build -o a ."),
        ("Makefile", "# go build -a ."),
        ("Makefile", "\tgo build . && tar -a x"),
        ("Dockerfile", "ENV GOARM=6"),
        ("Dockerfile", "ENV GOARM=${TARGETVARIANT#v}"),
        ("README.md", "go build -a ."),
        (".github/workflows/ci.yml", "key: ${{ matrix.goos }}-${{ hashFiles('go.sum') }}"),
        ("a/b_test.go", 'os.WriteFile(filepath.Join(t.TempDir(), "x"), nil, 0o600)'),
        ("a/b_test.go", '\t// os.WriteFile("out.txt", data, 0o644)'),
        ("a/b_test.go", 't.Chdir(t.TempDir())\nos.WriteFile("out.txt", data, 0o644)'),
        ("a/b.go", 'os.Getenv("GITHUB_SHA")'),
    ],
)
def test_what_is_right_is_let_be(path, line):
    assert rules(path, line) == []


def test_that_a_test_writes_is_told_once_a_file():
    line = 'os.WriteFile("out.txt", data, 0o644)\n'
    assert rules("a/b_test.go", f"{line}{line}") == [("writes", 1)]


def test_a_command_over_several_lines_is_one():
    assert rules("build.sh", "go build \\\n  -trimpath \\\n  -a .\n") == [("rebuild-all", 1)]


def test_flags_that_differ_are_told_once_a_value():
    files = [
        ("Makefile", "export GOFLAGS=-trimpath -mod=readonly\n"),
        ("ci/test.sh", "GOFLAGS='-mod=readonly -trimpath' go test ./...\n"),
        ("ci/vendor.sh", "GOFLAGS='-mod=vendor -trimpath -v' go build .\n"),
        ("ci/more.sh", 'GOFLAGS="$GOFLAGS -tags=x" go build .\n'),
        ("ci/race.sh", "GOFLAGS=-race go test ./...\n"),
    ]
    [only] = goflags(files)
    assert (only.file, only.line) == ("ci/race.sh", 1)
    assert "GOFLAGS has -race here" in only.what
    assert "others in Makefile:1" in only.what


@pytest.mark.parametrize(
    ("path", "what"),
    [("x/y_test.go", "tests"), ("x/Dockerfile.dev", "commands"), ("x.py", ""), ("go.mod", "")],
)
def test_files_are_looked_at_for_what_they_are(path, what):
    assert kind(path) == what


def test_the_command_says_what_it_costs_and_what_to_do(tmp_path, capsys):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/Makefile").write_text("x:\n\tgo build -a\n")
    assert main(["go", str(tmp_path)]) == 0
    (tmp_path / "Makefile").write_text("x:\n\tgo build -a\n")
    assert main(["go", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "Makefile:2: `go build -a`" in printed
    assert "costs: 210 s of CPU" in printed
    assert "do: leave -a out" in printed
