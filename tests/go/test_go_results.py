"""Test events as results, JUnit and messages."""

import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.go._junit import junit
from pipelines.go._places import Place
from pipelines.go._results import KEPT, parse
from tests.go.schema import validated

M = "example.com/m"


def events(*rows):
    """Spell events: (action, package, test, output)."""
    names = ("Action", "Package", "Test", "Output")
    return [json.dumps(dict(zip(names, row, strict=False))) + "\n" for row in rows]


def ended(package, action, *tests, output=()):
    rows = [("start", package)]
    for name, end, text in tests:
        rows += [("run", package, name), ("output", package, name, text)]
        rows += [(end, package, name)] if end else []
    rows += [("output", package, "", text) for text in output]
    return events(*rows, (action, package))


def results(*lines):
    return parse([line for part in lines for line in part], M)


def test_a_failing_test_says_its_file_and_line():
    found = results(ended(f"{M}/sub", "fail", ("TestA", "fail", "    a_test.go:3: no good\n")))
    [(package, test)] = found.failed
    assert (package.path, test.name) == (f"{M}/sub", "TestA")
    assert test.places == (Place("sub/a_test.go", 3, "no good"),)


def test_only_the_innermost_of_failing_subtests_is_told():
    tests = [("TestA", "fail", ""), ("TestA/x", "fail", ""), ("TestA/y", "pass", "")]
    found = results(ended(M, "fail", *tests))
    assert [test.name for _, test in found.failed] == ["TestA/x"]


def test_a_test_that_never_ended_failed():
    found = results(ended(M, "fail", ("TestSlow", "", "panic: test timed out after 1s\n")))
    assert [test.status for test in found.packages[0].tests] == ["failed"]


def test_a_package_that_could_not_be_built_has_the_compilers_words():
    build = f"{M}/bad [{M}/bad.test]"
    lines = [
        json.dumps({"ImportPath": build, "Action": "build-output", "Output": "bad/b.go:3:7: no\n"}),
        json.dumps({"ImportPath": build, "Action": "build-fail"}),
        json.dumps({"Action": "fail", "Package": f"{M}/bad", "FailedBuild": build}),
    ]
    [(package, test)] = results(lines).failed
    assert test is None
    assert package.build == "bad/b.go:3:7: no\n"
    assert package.places == (Place("bad/b.go", 3, "no"),)


@pytest.mark.parametrize("file", ["/src/sub/a.go", f"{M}/sub/a.go"])
def test_a_trace_says_the_line_of_this_module_and_the_panic(file):
    text = f"panic: oh no\n\ngoroutine 1:\n\t/usr/lib/go/panic.go:8 +0x1\n\tsort/sort.go:1 +0x2\n\t{file}:3 +0x2\n"  # noqa: E501
    found = results(ended(f"{M}/sub", "fail", ("TestA", "fail", text)))
    assert found.failed[0][1].places == (Place("sub/a.go", 3, "panic: oh no"),)


def test_tests_that_a_test_runs_may_fail_in_a_package_that_passes():
    tests = [("TestRuns", "pass", ""), ("Inner", "fail", "--- FAIL: Inner"), ("Open", "", "")]
    found = results(ended(M, "pass", *tests, ("TestSkips", "skip", "")))
    assert found.failed == ()
    assert [t.status for t in found.packages[0].tests] == ["passed"] * 3 + ["skipped"]
    assert 'failures="0"' in junit(found)


def test_a_test_that_passed_has_no_part_that_failed():
    tests = [("TestRuns", "pass", ""), ("TestRuns/x/y", "fail", ""), ("TestBad", "fail", "")]
    found = results(ended(M, "fail", *tests, ("TestBad/x", "fail", "")))
    assert [test.name for _, test in found.failed] == ["TestBad/x"]


def test_an_exit_outside_of_tests_is_the_packages_failure():
    [(package, test)] = results(ended(M, "fail", output=["exit status 3\n"])).failed
    assert (test, package.output) == (None, "exit status 3\n")


def test_cached_packages_are_counted_among_those_with_tests():
    cached = ended(f"{M}/a", "pass", output=[f"ok  \t{M}/a\t(cached)\n"])
    fresh = ended(f"{M}/b", "pass", output=[f"ok  \t{M}/b\t0.1s\n"])
    without = ended(f"{M}/c", "skip", output=[f"?   \t{M}/c\t[no test files]\n"])
    assert results(cached, fresh, without).cached == (1, 2)


def test_raw_lines_among_the_events_are_noise_and_harm_nothing():
    raw = ["raw\n", '{"not": "an event"}\n', '{"broken', "{}\n"]
    found = results(raw, ended(M, "pass", ("TestA", "pass", "")))
    assert found.packages[0].status == "passed"
    assert found.noise.splitlines() == ["raw", '{"not": "an event"}', '{"broken', "{}"]


def test_of_very_long_output_the_beginning_and_the_end_are_kept():
    rows = [("output", M, "TestA", f"{number:09}\n") for number in range(100_000)]
    found = results(events(("run", M, "TestA"), *rows, ("fail", M, "TestA"), ("fail", M)))
    text = found.packages[0].tests[0].output
    assert len(text) < KEPT + 100
    assert text.startswith("000000000\n")
    assert text.endswith("000099999\n")
    assert "characters left out" in text


def test_what_passes_when_it_runs_again_is_flaky():
    first = results(ended(M, "fail", ("TestA", "fail", ""), ("TestB", "fail", "")))
    once = first.merged(results(ended(M, "fail", ("TestA", "pass", ""), ("TestB", "fail", ""))))
    assert [test.status for test in once.packages[0].tests] == ["flaky", "failed"]
    assert once.packages[0].status == "failed"
    twice = once.merged(results(ended(M, "pass", ("TestB", "pass", ""))))
    assert twice.failed == ()
    assert twice.packages[0].status == "flaky"


def cases(text):
    return {case.get("name"): case for case in ET.fromstring(text).iter("testcase")}


def test_junit_has_every_kind_of_end():
    tests = [
        ("TestA", "fail", "    a_test.go:3: no <good> & \x00\x1b[31m\ud800\n"),
        ("TestS", "skip", "    a_test.go:4: why not\n"),
        ("TestP", "pass", ""),
    ]
    text = junit(results(ended(f"{M}/sub", "fail", *tests), ended(f"{M}/x", "fail", output=["!"])))
    validated(text)
    root = ET.fromstring(text)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "1")
    found = cases(text)
    assert (found["TestA"].get("file"), found["TestA"].get("line")) == ("sub/a_test.go", "3")
    assert found["TestA"].find("failure").get("message").startswith("no <good> & ")
    assert found["TestS"].find("skipped").get("message") == "why not"
    assert list(found["TestP"]) == []
    assert found["package"].find("error").text == "!"


def test_junit_of_flaky_tests_is_no_failure():
    first = results(ended(M, "fail", ("TestA", "fail", "")))
    text = junit(first.merged(results(ended(M, "pass", ("TestA", "pass", "")))))
    validated(text)
    assert ET.fromstring(text).get("failures") == "0"
    assert cases(text)["TestA"].find("flakyFailure") is not None


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.sampled_from(["pass", "fail", "skip", ""]), st.text()),
        unique_by=lambda test: test[0],
    ),
    st.sampled_from(["pass", "fail", "skip"]),
    st.text(),
)
def test_whatever_tests_are_called_and_print_junit_is_valid(tests, end, output):
    assert len(validated(junit(results(ended(M, end, *tests, output=[output]))))) <= 1


LATE = "panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestB (1s)\n"


def test_tests_that_a_limit_ended_say_so_and_those_that_had_ended_do_not():
    tests = [("TestA", "pass", ""), ("TestB", "", LATE), ("TestC", "", "")]
    found = results(ended(M, "fail", *tests))
    reasons = [test.reason for test in found.packages[0].tests]
    assert reasons == ["", "timed out after 2m0s", "timed out after 2m0s"]
    root = validated(junit(found))
    assert {e.get("message") for e in root.iter("failure")} == {"timed out after 2m0s"}


def test_what_was_left_out_before_is_counted():
    line = {"Action": "output", "Package": M, "Test": "TestA", "Output": "[…]\n", "LeftOut": 10**9}
    found = results(events(("run", M, "TestA")), [json.dumps(line)], events(("fail", M, "TestA")))
    assert "[1000000000 characters left out]" in found.packages[0].tests[0].output


def test_places_in_a_module_below_are_files_of_the_source():
    tests = [
        ("TestA", "fail", "    a_test.go:3: no good\n"),
        ("TestB", "fail", f"panic: x\n\t{M}/sub/b.go:4 +0x1\n"),
        ("TestC", "fail", "panic: x\n\t/src/api/sub/c.go:5 +0x1\n"),
    ]
    found = parse(ended(f"{M}/sub", "fail", *tests), M, "api")
    files = [test.places[0].file for _, test in found.failed]
    assert files == ["api/sub/a_test.go", "api/sub/b.go", "api/sub/c.go"]
