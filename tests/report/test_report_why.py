"""Reasons in words, and the run that `pipelines explain` tells of."""

import io

import pytest

from pipelines._errors import UsageError
from pipelines._spans import Span
from pipelines.cli.explain import lines, main
from pipelines.report.annotations import annotations, github
from pipelines.report.history import load, save
from pipelines.report.plain import Plain
from pipelines.report.run import Run
from pipelines.report.summary import table
from pipelines.report.why import phrase, summary

CHANGED = {"kind": "file", "what": "/src/a.go", "before": "1 644", "after": "2 644"}


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (CHANGED, "/src/a.go changed (1 644 → 2 644)"),
        ({"kind": "file", "what": "/src/a.go", "after": "2"}, "/src/a.go is new"),
        ({"kind": "file", "what": "/src/a.go", "before": "2"}, "/src/a.go is gone"),
        (
            {"kind": "environment", "what": "A", "before": "1", "after": "2"},
            "variable A changed (1 → 2)",
        ),
        ({"kind": "image", "before": "x", "after": "y"}, "the image changed (x → y)"),
        ({"kind": "toolchain", "before": "x", "after": "y"}, "the toolchain changed (x → y)"),
        (
            {"kind": "command", "what": "user", "after": "me"},
            "the command's user changed (nothing → me)",
        ),
        ({"kind": "first run"}, "first run"),
        (
            {"kind": "cache volume", "what": "v", "before": "filled", "after": "empty"},
            "the cache volume v is empty",
        ),
        ({"kind": "evicted", "what": "…"}, "its result is no longer in the store"),
    ],
)
def test_a_reason_is_said_in_words(reason, text):
    assert phrase(reason) == text


def test_a_summary_says_the_first_and_how_many_more():
    assert summary([], 0) == ""
    assert summary([CHANGED], 1) == phrase(CHANGED)
    assert summary([CHANGED, CHANGED], 7) == f"{phrase(CHANGED)}, and 6 more"


@pytest.fixture
def run():
    out = io.StringIO()
    run = Run(Plain(out), lambda: 1.0)
    run.out = out
    run.opened(Span("p", "release", started=0.0))
    run.opened(Span("a", "build", "linux/arm64", "p", started=0.0))
    common = {"span": "a", "id": "x", "name": "make"}
    run.listen({"event": "exec", "state": "started", **common})
    run.listen({"event": "why", "reasons": [CHANGED] * 4, "count": 5, **common})
    run.listen({"event": "exec", "state": "finished", "exit": 0, "seconds": 0.5, **common})
    run.noted("a", {"inputs": "go build .", "whole": "", "paths": ["a.go", "go.mod"]})
    return run


def test_a_stage_and_those_around_it_have_the_first_reason(run):
    assert [row.why for row in run.rows()] == [f"{phrase(CHANGED)}, and 4 more"] * 2


def test_plain_progress_says_the_first_reasons(run):
    told = [line for line in run.out.getvalue().splitlines() if "because" in line or "more" in line]
    assert told == [
        *["build[linux/arm64] │ because /src/a.go changed (1 644 → 2 644)"] * 3,
        "build[linux/arm64] │ and 2 more; `pipelines explain` shows them",
    ]


def test_the_summary_has_a_column_for_reasons_only_if_there_are_any(run):
    assert table(run.rows(), 1.0).splitlines()[0].split()[-1] == "why"
    quiet = Run(Plain(io.StringIO()), lambda: 1.0)
    quiet.opened(Span("a", "test", started=0.0))
    assert "why" not in table(quiet.rows(), 1.0)


def test_a_kept_run_is_explained(run, tmp_path):
    save(tmp_path / "cache", tmp_path, run.rows(), 1.0)
    [_, build] = load(tmp_path / "cache", tmp_path)
    assert list(lines(build, inputs=True)) == [
        "build[linux/arm64]: running, 1.0 s",
        "  ran     make (0.5 s)",
        *["            because /src/a.go changed (1 644 → 2 644)"] * 4,
        "            and 1 more",
        "  inputs of go build .: 2 files",
        "            a.go",
        "            go.mod",
    ]


def test_a_whole_source_is_explained_with_its_reason():
    stage = {"label": "t", "result": "cached", "seconds": 0.1, "commands": [
        {"name": "go test", "state": "cached"}], "notes": [
        {"inputs": "go test .", "whole": "it was asked for", "paths": []}]}  # fmt: skip
    assert list(lines(stage, inputs=True)) == [
        "t: cached, 0.1 s",
        "  cached  go test",
        "  inputs of go test .: the whole source, because it was asked for",
    ]


def test_explain_without_a_run_or_with_another_stage_says_what_to_do(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PIPELINES_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no run is known in this directory"):
        main([])
    save(tmp_path / "cache", tmp_path, run.rows(), 1.0)
    with pytest.raises(UsageError, match=r"no stage 'buidl'.*build.*it had: release, build"):
        main(["buidl"])
    assert main(["build[linux/arm64]"]) == 0


@pytest.mark.parametrize("text", ["", "{}", '{"v": 2, "stages": []}', "[1]"])
def test_a_kept_run_that_can_not_be_read_is_none(tmp_path, run, text):
    save(tmp_path / "cache", tmp_path, run.rows(), 1.0)
    [kept] = (tmp_path / "cache" / "runs").iterdir()
    kept.write_text(text)
    assert load(tmp_path / "cache", tmp_path) is None


def test_annotations_are_commands_to_the_runner_that_nothing_can_break_out_of(run):
    one = {"file": "a,b:c.go", "line": 3, "title": "T", "message": "50%\n::error::x"}
    run.noted("a", {"annotations": [one]})
    assert list(github(annotations(run.rows()))) == [
        "::error file=a%2Cb%3Ac.go,line=3,title=T::50%25%0A::error::x"
    ]
