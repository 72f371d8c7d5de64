"""Whether a Go file may belong to a target: yes, no, or it cannot be told."""

import pytest

from pipelines import Platform
from pipelines.go._constraints import Tags, evaluate, named_for

LINUX = Tags("linux", "amd64", 26, chosen=frozenset({"chosen"}))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("linux && !cgo", True),
        ("(darwin || windows) && chosen", False),
        ("unix", True),
        ("ignore", False),
        ("!ignore", True),
        ("go1.26 && chosen", True),
        ("go1.27", False),
        ("gc && !gccgo && !race", True),
        ("linux // and more", True),
        # What cannot be told decides only where the rest does not.
        ("amd64.v3", None),
        ("goexperiment.synctest || linux", True),
        ("!amd64.v3 && windows", False),
        ("msan", None),
        ("linux &&", None),
        ("(linux", None),
        ("linux darwin", None),
        ("linux, !cgo", None),
        ("", None),
        ("(" * 5000, None),
    ],
)
def test_a_constraint_is_true_false_or_unknown(expression, value):
    assert evaluate(expression, LINUX) is value


def test_a_system_that_counts_as_another_has_both_tags():
    android = Tags("android", "arm64")
    assert evaluate("android && linux && unix", android) is True
    assert evaluate("illumos && solaris", Tags("illumos")) is True
    assert evaluate("darwin && ios", Tags("darwin")) is False


def test_without_a_platform_only_the_system_is_known():
    tags = Tags.of(None)
    assert evaluate("linux", tags) is True
    assert evaluate("amd64", tags) is None
    assert evaluate("go1.20", tags) is None


def test_race_brings_cgo():
    tags = Tags.of(Platform("linux", "amd64"), "1.26.8", race=True)
    assert evaluate("race && cgo && go1.26 && !go1.27", tags) is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.go", True),
        ("linux.go", True),
        ("a_linux.go", True),
        ("a_windows.go", False),
        ("a_windows_test.go", False),
        ("a_linux_amd64.go", True),
        ("a_linux_arm64.s", False),
        ("a_unix.go", True),
        ("a_amd64.syso", True),
        ("windows_test.go", True),
        ("_windows.go", False),
        ("a_windows_b.go", True),
    ],
)
def test_a_name_can_rule_a_target_out(name, value):
    assert named_for(name, LINUX) is value


def test_an_unknown_architecture_rules_nothing_out():
    assert named_for("a_linux_arm64.go", Tags("linux")) is None
    assert named_for("a_windows_arm64.go", Tags("linux")) is False
