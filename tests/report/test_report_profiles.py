"""Coverage profiles, merged as Go would have counted."""

import pytest

from pipelines import UsageError
from pipelines.report.profiles import merge, percent, read, summary, write

A = "example.com/m/a.go:3.14,5.2"
B = "example.com/m/a.go:10.1,12.9"
C = "example.com/m/sub/c.go:1.1,2.2"


def profile(mode, **counts):
    places = {"a": (A, 2), "b": (B, 3), "c": (C, 5)}
    rows = [f"{places[n][0]} {places[n][1]} {count}" for n, count in counts.items()]
    return read("\n".join([f"mode: {mode}", *rows]) + "\n")


@pytest.mark.parametrize(
    ("first", "second", "mode", "count"),
    [
        (("set", 1), ("set", 0), "set", 1),
        (("set", 1), ("set", 1), "set", 1),
        (("set", 0), ("set", 0), "set", 0),
        (("count", 3), ("count", 4), "count", 7),
        (("atomic", 3), ("atomic", 0), "atomic", 3),
        (("count", 3), ("atomic", 4), "atomic", 7),
        (("count", 3), ("set", 1), "set", 1),
        (("atomic", 0), ("set", 0), "set", 0),
    ],
)
def test_counts_are_merged_as_their_modes_say(first, second, mode, count):
    found = merge([profile(first[0], a=first[1]), profile(second[0], a=second[1])])
    assert (found.mode, found.blocks) == (mode, {A: (2, count)})


def test_a_block_of_one_profile_is_in_the_whole():
    found = merge([profile("set", a=1), profile("set", c=0)])
    assert found.blocks == {A: (2, 1), C: (5, 0)}


def test_a_block_twice_in_a_file_counts_once():
    text = f"mode: set\n{A} 2 0\n{A} 2 1\n"
    assert read(text).blocks == {A: (2, 1)}
    assert read(text.replace("set", "count")).blocks == {A: (2, 1)}


def test_what_is_written_is_what_was_read_in_the_order_of_the_source():
    text = write(profile("count", c=1, b=2, a=3))
    assert text == f"mode: count\n{A} 2 3\n{B} 3 2\n{C} 5 1\n"
    assert write(read(text)) == text


def test_the_share_is_of_statements():
    assert percent([(2, 1), (3, 0), (5, 9)]) == 70
    assert percent([]) == 0


def test_the_summary_says_every_package_and_the_whole():
    assert summary(profile("set", a=1, b=0, c=1)).split() == [
        "example.com/m", "40.0", "%", "example.com/m/sub", "100.0", "%", "total", "70.0", "%",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "mode: odd\n", "x", "mode: set\nnot a block\n"])
def test_what_is_no_profile_is_said(text):
    with pytest.raises(UsageError, match=r"coverage\.out.* no "):
        read(text, "coverage.out")


def test_profiles_of_different_sources_are_not_merged():
    other = read(f"mode: set\n{A} 9 1\n")
    with pytest.raises(UsageError, match="different sources"):
        merge([profile("set", a=1), other])
    with pytest.raises(UsageError, match="no coverage profiles"):
        merge([])
