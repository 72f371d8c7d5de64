"""Benchmarks: read as Go writes them, compared without claiming more than the runs say."""

import itertools
import json
import random

import pytest

from pipelines.go._benchmarks import (
    EXACT,
    Key,
    _approximated,
    _ranks,
    as_json,
    compared,
    likelihood,
    read,
)

TEXT = """\
goos: linux
pkg: example.com/m
cpu: x
BenchmarkA-8   	     100	     12.50 ns/op	      16 B/op	       1 allocs/op
BenchmarkA-8   	     100	     13.50 ns/op	      16 B/op	       1 allocs/op
BenchmarkA/sub=1,x-2         	       1	 2000000 ns/op	         3.5 MB/s
some noise BenchmarkB-8 1 2 ns/op
PASS
pkg: example.com/m/sub
Benchmark 	 5	 7 ns/op
"""


def test_every_value_of_every_run_is_read():
    found = read(TEXT)
    assert found[Key("example.com/m", "A", "ns/op")] == [12.5, 13.5]
    assert found[Key("example.com/m", "A", "B/op")] == [16, 16]
    assert found[Key("example.com/m", "A/sub=1,x", "MB/s")] == [3.5]
    assert found[Key("example.com/m/sub", "", "ns/op")] == [7]
    assert len(found) == 6


def test_programs_get_runs_and_medians():
    rows = json.loads(as_json(read(TEXT)))["benchmarks"]
    assert rows[2] == {"package": "example.com/m", "name": "A", "unit": "ns/op",
                       "runs": [12.5, 13.5], "median": 13.0}  # fmt: skip


def by_hand(one, other):
    """The test's definition: over all ways to deal the values out, how many are as far apart."""
    values = [*one, *other]

    def u(side):
        rest = list(values)
        for value in side:
            rest.remove(value)
        return sum((a > b) + (a == b) / 2 for a in side for b in rest)

    middle = len(one) * len(other) / 2
    far = abs(u(one) - middle)
    ways = list(itertools.combinations(values, len(one)))
    return sum(abs(u(side) - middle) >= far - 1e-9 for side in ways) / len(ways)


@pytest.mark.parametrize("seed", range(12))
def test_likelihood_is_what_counting_by_hand_gives(seed):
    chance = random.Random(seed)
    one = [chance.randint(0, 6) for _ in range(chance.randint(1, 5))]
    other = [chance.randint(2, 8) for _ in range(chance.randint(1, 5))]
    assert likelihood(one, other) == pytest.approx(by_hand(one, other))


def test_known_likelihoods():
    assert likelihood([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(2 / 70)
    assert likelihood([1, 1, 1, 1], [1, 1, 1, 1]) == 1


def test_many_runs_are_approximated_as_they_would_be_counted():
    chance = random.Random(1)
    one = [chance.gauss(10, 1) for _ in range(EXACT // 2)]
    other = [chance.gauss(10.5, 1) for _ in range(EXACT // 2)]
    ranks = _ranks([*one, *other])
    far = abs(sum(ranks[: len(one)]) - sum(ranks) / 2)
    assert _approximated(ranks, len(one), far) == pytest.approx(likelihood(one, other), abs=0.005)


def test_chance_alone_is_told_as_a_change_no_more_often_than_promised():
    chance = random.Random(7)
    told = sum(
        likelihood(
            [chance.gauss(1, 0.1) for _ in range(6)], [chance.gauss(1, 0.1) for _ in range(6)]
        )
        < 0.05
        for _ in range(400)
    )
    assert told <= 400 * 0.08


def row(before, after):
    key = Key("m", "A", "ns/op")
    table = compared({key: before} if before else {}, {key: after} if after else {})
    return table.splitlines()[1]


def test_a_change_is_told_only_when_the_runs_say_so():
    assert row([10, 11, 10, 11, 10], [20, 21, 20, 21, 20]).endswith("+100.00% (p=0.008 n=5+5)")
    assert row([10, 12, 11, 13, 9], [11, 12, 10, 13, 9]).endswith("~ (p=1.000 n=5+5)")
    assert row([10, 10, 10], [20, 20, 20]).endswith("~ (n=3+3: at least 4 runs each are needed)")


def test_what_is_on_one_side_only_is_said():
    assert row([10], []).endswith("only in base")
    assert row([], [10]).endswith("only now")
