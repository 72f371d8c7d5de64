"""`pipelines explain`: what it says of runs that ended well, badly, or not at all."""

import json
import os
import subprocess
import sys

import pytest

from pipelines._errors import UsageError
from pipelines._spans import Span
from pipelines.cli.explain import main
from pipelines.report.history import load, save
from pipelines.report.run import StageRow


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PIPELINES_CACHE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(stage="build", cell="linux/arm64", *, ended=103.0, error=None):
    made = StageRow(Span("1", stage, cell, started=100.0), ended, error, ran=1)
    why = {"kind": "file", "what": "/src/a.go", "before": "1", "after": "2"}
    made.commands = {
        "a": {"name": "go build ./a", "seconds": 2.5, "reasons": [why], "count": 3},
        "b": {"name": "go mod download", "state": "cached"},
    }
    made.notes = [
        {"inputs": "go build ./a", "paths": ["a.go", "go.mod"]},
        {"inputs": "go test ./a", "whole": "it was asked for", "paths": []},
    ]
    return made


def keep(here, *rows, **more):
    save(here / "pipelines", here, rows, now=104.0, **more)


def test_commands_are_told_with_their_reasons(here, capsys):
    keep(here, row())
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "build[linux/arm64]: ran 1 exec, 3.0 s",
        "  ran     go build ./a (2.5 s)",
        "            because /src/a.go changed (1 → 2)",
        "            and 2 more",
        "  cached  go mod download",
    ]


def test_inputs_are_listed_and_a_whole_source_says_why(here, capsys):
    keep(here, row())
    main(["build", "--inputs"])
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "  inputs of go build ./a: 2 files",
        "            a.go",
        "            go.mod",
        "  inputs of go test ./a: the whole source, because it was asked for",
    ]


def test_a_stage_is_named_by_itself_or_with_its_cell(here, capsys):
    keep(here, row(), row("test", "", error=ValueError()))
    for name in ("test", "build[linux/arm64]"):
        main([name, "--json"])
        [told] = json.loads(capsys.readouterr().out)
        assert told["label"] == name
    with pytest.raises(UsageError, match=r"no stage 'biuld'.*build"):
        main(["biuld"])


def test_a_run_that_failed_is_told(here, capsys):
    keep(here, row(error=ValueError()))
    main([])
    assert capsys.readouterr().out.startswith("build[linux/arm64]: failed, 3.0 s\n  ran ")


def test_of_a_run_that_was_killed_is_told_what_was_known(here, capsys, monkeypatch):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setattr(os, "getpid", lambda: gone.pid)
    keep(here, row("test", "", ended=102.0), row(ended=None), ended=False)
    main([])
    said = capsys.readouterr().out
    assert "build[linux/arm64]: killed, 4.0 s" in said
    assert "test: ran 1 exec, 2.0 s" in said


def test_a_run_that_goes_on_is_running(here):
    keep(here, row(ended=None), ended=False)
    assert [stage["result"] for stage in load(here / "pipelines", here)] == ["running"]


def test_a_directory_without_a_run_says_how_to_make_one(here):
    with pytest.raises(UsageError, match="no run is known"):
        main([])
