"""The chains that checks make, and what they say no to."""

import pytest

from pipelines import StageFailed, UsageError, go
from pipelines.go._checks import places
from pipelines.go._tools import GOLANGCI_LINT, GOVULNCHECK, tool
from tests.go.test_go_layers import LIBRARY, chain, made


def test_vet_reads_what_tests_read(monkeypatch):
    calls = chain(monkeypatch, lambda s: go.vet(s, "./lib", tags=["a"]), LIBRARY)
    assert "include=['go.mod', 'lib/lib.go', 'lib/lib_test.go']" in calls
    assert calls.endswith(
        "withExec(args=['go', 'vet', '-trimpath', '-buildvcs=false', '-tags=a', './lib'])"
    )


def test_what_vet_finds_is_a_failed_stage(monkeypatch):
    with pytest.raises(StageFailed, match=r"go vet failed:\nout\n\nmain\.go:3: no"):
        failing = [["go", "vet", "-trimpath", "-buildvcs=false", "./..."]]
        made(monkeypatch, go.vet, LIBRARY, failing=failing)


def test_lint_reads_its_configuration_and_is_built_pinned(monkeypatch):
    calls = chain(monkeypatch, lambda s: go.lint(s, flags=["--fast"]), LIBRARY)
    assert "'.golangci.*'" in calls
    assert f"args=['go', 'install', '-trimpath', '{GOLANGCI_LINT}']" in calls
    assert "path='/usr/local/bin/golangci-lint', source=<" in calls
    assert calls.endswith("withExec(args=['golangci-lint', 'run', '--fast', './...'])")


def test_vulncheck_may_use_a_database_of_ones_own(monkeypatch):
    def check(source):
        return go.vulncheck(source, database=source.directory("db"))

    calls = chain(monkeypatch, check, LIBRARY)
    assert GOVULNCHECK in calls
    assert "args=['govulncheck', '-db', 'file:///go/vulnerabilities', './...']" in calls


def test_a_tidy_go_mod_is_fine_and_another_shows_its_difference(monkeypatch):
    assert made(monkeypatch, go.tidy, LIBRARY)[0] == ""
    monkeypatch.setattr("pipelines.go._checks._text", odd)
    with pytest.raises(StageFailed, match=r"\n-go\.mod 1\n\+go\.mod 2\n"):
        made(monkeypatch, go.tidy, LIBRARY)


async def odd(tree, name, seen={}):  # noqa: B006 - counts the calls
    seen[name] = seen.get(name, 0) + 1
    return f"{name} {seen[name]}\n"


@pytest.mark.parametrize("package", ["x/y", "x/y@latest", "x/y@", "@v1.0.0"])
def test_a_tool_is_pinned(package):
    with pytest.raises(UsageError, match="a tool is pinned"):
        tool(package)


@pytest.mark.parametrize(
    ("package", "program"),
    [("example.com/a/cmd/x@v1.2.3", "x"), ("example.com/tool/v2@v2.0.0", "tool")],
)
def test_a_program_is_named_as_go_names_it(monkeypatch, package, program):
    async def build(_):
        return await tool(package).export("/x")

    assert chain(monkeypatch, build).endswith(f"file(path='/out/{program}')")


def test_places_that_a_check_names_are_annotations():
    said = (
        "# m\nvet: a.go:3:2: no good\nlib/b.go:6:11: Error return value (errcheck)\n"
        '\tos.Remove("x")\n1 issues:\n* errcheck: 1'
    )
    found = [(one["file"], one["line"], one["message"]) for one in places(said, "lint")]
    assert found == [
        ("a.go", 3, "no good"),
        ("lib/b.go", 6, "Error return value (errcheck)"),
    ]
