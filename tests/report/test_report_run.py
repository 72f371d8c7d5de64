"""From events to rows and lines."""

import io
import json

import pytest

from pipelines._spans import Span
from pipelines.report.plain import HEARTBEAT_SECONDS, Plain
from pipelines.report.run import LONGEST_LINE, Run
from pipelines.report.stream import Json
from pipelines.report.summary import table
from pipelines.report.words import seconds


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture
def run(clock, out):
    return Run(Plain(out, clock), clock)


def opened(run, span_id="a", stage="build", cell="linux/arm64", parent=""):
    span = Span(span_id, stage, cell, parent, started=100.0)
    run.opened(span)
    return span


def execs(run, state, span="a", **more):
    run.listen({"event": "exec", "state": state, "span": span, "id": "x", "name": "make", **more})


def log(run, text, span="a", stream="stdout"):
    run.listen({"event": "log", "span": span, "id": "x", "stream": stream, "text": text})


def test_a_stage_in_which_nothing_ran_is_cached(run):
    span = opened(run)
    execs(run, "cached")
    run.closed(span, None)
    [row] = run.rows()
    assert (row.result, row.cached) == ("cached", 1)


def test_an_engine_that_tells_of_no_command_is_not_taken_for_a_cache(run):
    run.told = False
    span = opened(run)
    run.noted("a", {"tests": {"packages": 7, "cached": 6}})
    run.closed(span, None)
    run.closed(opened(run, "b"), None)
    assert [row.result for row in run.rows()] == ["done, 6/7 packages from cache", "done"]
    assert [row.outcome for row in run.rows()] == ["done", "done"]


def test_commands_count_for_the_stage_and_those_around_it(run):
    opened(run, "p", "release", "")
    opened(run, "a", parent="p")
    execs(run, "started")
    execs(run, "finished", seconds=1.0, exit=0)
    assert [row.ran for row in run.rows()] == [1, 1]


def test_a_stage_that_tested_says_how_much_the_toolchain_had_in_its_cache(run):
    span = opened(run, stage="test", cell="")
    execs(run, "started")
    run.noted("a", {"tests": {"packages": 30, "cached": 29}})
    run.noted("a", {"tests": {"packages": 7, "cached": 7}})
    run.closed(span, None)
    assert run.rows()[0].result == "ran 1 exec, 36/37 packages from cache"


def test_a_commands_failure_and_a_cancellation_differ(run):
    for name, error, result in (
        ("a", ValueError(), "failed"),
        ("b", KeyboardInterrupt(), "cancelled"),
    ):
        run.closed(opened(run, name), error)
        assert run.rows()[-1].result == result


def test_lines_are_whole_and_say_whose_they_are(run, out):
    opened(run)
    opened(run, "b", "test", "")
    log(run, "hel")
    log(run, "other\n", span="b")
    log(run, "lo\nwor")
    log(run, "err\n", stream="stderr")
    execs(run, "finished", exit=0)
    assert out.getvalue().splitlines() == [
        "test │ other",
        "build[linux/arm64] │ hello",
        "build[linux/arm64] │ err",
        "build[linux/arm64] │ wor",
    ]


def test_output_without_an_end_is_shown_at_the_end(run, out):
    opened(run)
    log(run, "no newline")
    run.close()
    assert "│ no newline\n" in out.getvalue()


def test_a_line_without_an_end_is_shown_in_pieces(run, out):
    opened(run)
    for _ in range(10):
        log(run, "y" * LONGEST_LINE)
    assert out.getvalue().count("y") > 8 * LONGEST_LINE
    log(run, "\n")
    assert out.getvalue().count("y") == 10 * LONGEST_LINE


def test_a_commands_start_and_its_bad_end_are_lines(run, out):
    opened(run)
    execs(run, "started")
    execs(run, "finished", exit=2)
    assert out.getvalue().splitlines() == [
        "build[linux/arm64] │ $ make",
        "build[linux/arm64] │ exit code 2: make",
    ]


def test_events_of_nobody_and_unknown_events_do_no_harm(run, out):
    log(run, "x\n", span="")
    run.listen({"event": "news from the future"})
    run.listen({"event": "warning", "text": "mind this"})
    assert out.getvalue() == "engine │ x\nengine │ mind this\n"


def test_silence_is_broken_by_a_heartbeat(run, out, clock):
    opened(run)
    clock.now += HEARTBEAT_SECONDS - 1
    run.tick()
    assert not out.getvalue()
    clock.now += 101
    run.tick()
    run.tick()
    assert out.getvalue() == "engine │ still running: build[linux/arm64] 2m10s\n"


def test_json_has_one_object_a_line_for_everything(out, clock):
    run = Run(Json(out, clock), clock)
    span = opened(run)
    execs(run, "started")
    log(run, "hi\n")
    clock.now += 2
    run.closed(span, None)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["stage", "exec", "log", "stage"]
    assert lines[-1] | {"span": ""} == {
        "v": 1, "event": "stage", "state": "finished", "stage": "build", "cell": "linux/arm64",
        "span": "", "parent": "", "seconds": 2.0, "result": "ran", "ran": 1, "cached": 0,
    }  # fmt: skip


def test_the_summary_is_a_table(run, clock):
    run.closed(opened(run), None)
    clock.now += 61
    opened(run, "b", "test", "test")
    assert table(run.rows(), clock.now) == (
        "stage  platform     duration  result\n"
        "build  linux/arm64     0.0 s  cached\n"
        "test                   1m01s  running\n"
    )
    assert table([], 0) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0 s"), (9.97, "10 s"), (59.6, "1m00s"), (130, "2m10s")]
)
def test_durations_are_short(value, text):
    assert seconds(value) == text


def test_the_live_display_draws_what_runs_and_keeps_what_ended(clock):
    from rich.console import Console

    from pipelines.report.live import Live

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, color_system=None)
    run = Run(Live(console, clock), clock)
    span = opened(run, cell="[x]")
    log(run, "compiling \x1b[31mred\x1b[0m\n")
    run.tick()
    run.closed(span, ValueError())
    run.close()
    assert "build[[x]] 0.0 s compiling red" in screen.getvalue()
    assert "✗ build[[x]] failed, 0.0 s" in screen.getvalue()
