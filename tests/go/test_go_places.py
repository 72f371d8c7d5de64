"""Which lines of the source output names, and with what message."""

import pytest

from pipelines.go._places import LONGEST, Place, places, told_first

M = "example.com/m"


def said(text, directory="sub", root="."):
    return [(one.file, one.line, one.message) for one in places(text, directory, M, root)]


def test_a_message_goes_on_in_the_lines_that_are_indented_further():
    text = "    a_test.go:3: got:\n            1\n        \n        want 2\n    a_test.go:5: more\n"
    assert said(text) == [
        ("sub/a_test.go", 3, "got:\n    1\n\nwant 2"),
        ("sub/a_test.go", 5, "more"),
    ]


def test_a_message_may_begin_below_its_place_and_name_others():
    text = (
        "    a_test.go:3: \n"
        f"        \tError Trace:\t{M}/sub/a_test.go:9\n"
        f"        \t            \t{M}/sub/a_test.go:3\n"
        "        \tError:      \tNot equal\n"
        "--- FAIL: TestA (0.00s)\n"
    )
    [(file, line, message)] = said(text)
    assert (file, line) == ("sub/a_test.go", 3)
    assert message.splitlines()[0] == f"Error Trace:\t{M}/sub/a_test.go:9"
    assert message.endswith("Error:      \tNot equal")


def test_what_the_compiler_says_goes_on_after_a_tab():
    text = "./b.go:3:7: too many arguments\n\thave (int)\n\twant ()\n./b.go:5:1: other\n"
    assert said(text, directory="") == [
        ("b.go", 3, "too many arguments\nhave (int)\nwant ()"),
        ("b.go", 5, "other"),
    ]


def test_a_line_of_the_package_log_takes_no_test_s_own_lines():
    assert said("a.go:2: listening\n    a_test.go:3: no\n") == [
        ("sub/a.go", 2, "listening"),
        ("sub/a_test.go", 3, "no"),
    ]


def test_frames_of_a_trace_are_places_of_their_own():
    text = f"panic: oh\n\nmain.f()\n\t{M}/sub/a.go:3 +0x1\n\t{M}/sub/b.go:4 +0x2\n"
    assert said(text) == [("sub/a.go", 3, "panic: oh"), ("sub/b.go", 4, "panic: oh")]


def test_a_very_long_message_is_cut():
    text = "    a_test.go:3: x\n" + "        y\n" * LONGEST
    [(_, _, message)] = said(text)
    assert len(message) == LONGEST
    assert message.endswith("…")


@pytest.mark.parametrize(
    "call",
    ['t.Log("x")', 'b.Logf("%d", 1)', 'suite.T().Log("x")', 'log.Printf("x")', 'slog.Info("x")'],
)
def test_what_was_only_logged_comes_behind_what_failed(call):
    source = ["package x", f"\t{call}", '\tt.Fatal("no")', "\tequal(t, 1, 2)"]
    logged, fatal, helped = (Place("a_test.go", line, "") for line in (2, 3, 4))
    found = [logged, fatal, helped]
    assert told_first(found, {"a_test.go": source}) == (fatal, helped, logged)


def test_places_of_unknown_files_and_lines_stay_where_they_are():
    found = (Place("a_test.go", 9, ""), Place("b_test.go", 1, ""), Place("a_test.go", 0, ""))
    assert told_first(found, {"a_test.go": ["t.Log()"]}) == found
