"""From errors to exit codes and words."""

import dagger
import pytest
from dagger._exceptions import QueryErrorValue

from pipelines import (
    CacheIntegrityError,
    EngineUnavailable,
    InfrastructureError,
    StageCancelled,
    StageFailed,
    StageTimeout,
    UsageError,
)
from pipelines.cli.failures import describe, exit_code


class Request:
    document = None


def query_error(kind, **fields):
    return dagger.QueryError(
        [QueryErrorValue("said so", None, None, {"_type": kind, **fields})], Request()
    )


def exec_error(stdout="", stderr=""):
    return query_error(
        "EXEC_ERROR", cmd=["go", "test", "a b"], exitCode=1, stdout=stdout, stderr=stderr
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StageFailed("x"), 1),
        (exec_error(), 1),
        (UsageError("x"), 2),
        (query_error("SOURCE_ERROR"), 2),
        (StageCancelled("x"), 3),
        (StageTimeout("s", 1), 4),
        (TimeoutError(), 4),
        (EngineUnavailable("x"), 5),
        (dagger.TransportError("x"), 5),
        (query_error("UNSUPPORTED_FIELD"), 5),
        (query_error("SANDBOX_ERROR"), 5),
        (InfrastructureError("x"), 6),
        (query_error("STORE_FULL"), 6),
        (CacheIntegrityError("x"), 7),
        (query_error("SOMETHING_NEW"), 1),
        (ZeroDivisionError(), 70),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


def test_a_group_has_the_code_of_its_worst_member():
    red, net = StageFailed("x"), InfrastructureError("x")
    assert exit_code(ExceptionGroup("", [net, ExceptionGroup("", [red])])) == 1
    assert exit_code(ExceptionGroup("", [red, ZeroDivisionError()])) == 70


def test_a_failed_command_is_shown_with_its_output_and_its_cell():
    error = exec_error(stdout="--- FAIL: TestX\n", stderr="main.go:3:1: undefined: y\n")
    error.add_note("in linux/arm64")
    text = describe(ExceptionGroup("", [error]))
    assert text.startswith("error (in linux/arm64): command failed with exit code 1: go test 'a b'")
    assert "    --- FAIL: TestX" in text
    assert "    main.go:3:1: undefined: y" in text


def test_only_the_end_of_long_output_is_shown():
    text = describe(exec_error(stdout="\n".join(f"line {n}" for n in range(1000))))
    assert "… 970 lines before" in text
    assert "line 999" in text
    assert "line 969\n" not in text


def test_a_bug_is_shown_with_its_traceback_and_a_mistake_without():
    try:
        raise ZeroDivisionError("oops")  # noqa: TRY301
    except ZeroDivisionError as exc:
        assert "Traceback" in describe(exc)
    assert describe(UsageError("no such thing")) == "error: no such thing"


def test_notes_of_a_group_reach_its_members():
    group = ExceptionGroup("", [StageFailed("x")])
    group.add_note("in release")
    assert describe(group) == "error (in release): x"
