"""Timings: kept, merged, and harmless when they are wrong."""

import pytest

from pipelines.report.timings import Timings, merge, read, write

KNOWN = Timings({"a": 1.5, "b": 2.0}, frozenset({"a"}), {2: {"a": 0, "b": 1}})


def test_what_is_written_is_read():
    assert read(write(KNOWN)) == KNOWN


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "null", '{"v": 2, "seconds": {}}', '{"v": 1}', '{"v": 1, "seconds": {"a": []}}',
     '{"v": 1, "seconds": {}, "shards": {"x": {}}}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_says_nothing(text):
    assert read(text) == Timings()


def test_after_a_run_new_numbers_stand_and_names_that_are_gone_do_not():
    after = KNOWN.after(["a", "c"], {"c": 3.0}, {3: {"a": 2, "c": 1}})
    assert after.seconds == {"a": 1.5, "c": 3.0}
    assert after.measured == {"c"}
    assert after.shards == {2: {"a": 0, "b": 1}, 3: {"a": 2, "c": 1}}


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_parts_the_one_that_measured_is_right(order):
    first = Timings({"a": 9.0, "b": 2.0}, frozenset({"a"}))
    second = Timings({"a": 1.0, "b": 8.0}, frozenset({"b"}))
    assert merge([first, second][::order]).seconds == {"a": 9.0, "b": 8.0}
