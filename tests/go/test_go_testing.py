"""From the choices of a test run to the flags of `go test`."""

import pytest

from pipelines import UsageError
from pipelines.go._testing import Choices, limit_of


def command(**options):
    return Choices.of(options).command(["./..."])


def test_without_choices_nothing_is_said_of_tests():
    assert command() == ["go", "test", "-buildvcs=false", "./..."]


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"run": "TestX"}, "-run=TestX"),
        ({"skip": "Slow"}, "-skip=Slow"),
        ({"count": 3}, "-count=3"),
        ({"short": True}, "-short"),
        ({"timeout": 1.5}, "-timeout=1500ms"),
        ({"timeout": {"...": 60, "./slow": 600}}, "-timeout=60000ms"),
        ({"tags": ["a", "b"]}, "-tags=a,b"),
        ({"race": True}, "-race"),
        ({"flags": ["-parallel=2"]}, "-parallel=2"),
    ],
)
def test_every_choice_is_one_flag_before_the_packages(options, flag):
    assert set(command(**options)) - set(command()) == {flag}
    assert command(**options)[-1] == "./..."


def test_what_is_not_of_tests_is_of_the_environment():
    assert Choices.of({"cgo": True, "short": True}).setup == {"cgo": True}


@pytest.mark.parametrize("options", [{"count": -1}, {"timeout": 0}, {"timeout": {"./x": -1}}])
def test_a_number_that_can_not_be_is_refused(options):
    with pytest.raises(UsageError, match=r"got (-1|0)"):
        Choices.of(options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": "5s"}, "timeout is seconds, a number; got '5s'"),
        ({"timeout": {"./x": "10m"}}, "timeout is seconds, a number; got '10m'"),
        ({"count": "2"}, "count is how often each test runs, a number; got '2'"),
        ({"shards": None}, "shards is how many run beside each other, a number; got None"),
        ({"tags": "integration"}, r"tags is a list of texts, such as \['integration'\]"),
        ({"flags": "-v"}, r"flags is a list of texts, such as \['-v'\]; got '-v'"),
        ({"inputs": [1]}, r"inputs is a list of texts, such as \['x', 'y'\]; got \[1\]"),
    ],
)
def test_a_value_of_another_kind_is_wrong_use_and_named(options, said):
    with pytest.raises(UsageError, match=said):
        Choices.of(options)


@pytest.mark.parametrize(
    ("directory", "seconds"),
    [(".", 60), ("a", 60), ("slow", 600), ("slow/db", 600), ("slow/x", 5), ("slower", 60)],
)
def test_the_longest_pattern_that_matches_says_how_long_a_package_may_take(directory, seconds):
    assert limit_of(directory, {"...": 60, "./slow/...": 600, "./slow/x": 5}) == seconds


def test_patterns_of_packages_begin_at_the_module():
    assert limit_of("api/slow", {"./slow": 600}, "api") == 600
    assert limit_of("slow", {"./slow": 600}, "api") is None
