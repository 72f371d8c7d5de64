"""Parts of a run: every cell once, evenly, and where it was."""

import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import Platform, Shard, UsageError, matrix
from pipelines._shard import longest, split, weighed

NAMES = st.sets(st.text(max_size=8), max_size=40)
SECONDS = st.floats(0, 1e6)


def durations(seed, number):
    """As test suites are: most are quick, a few take minutes."""
    chance = random.Random(seed)
    return {f"example.com/m/p{i}": chance.lognormvariate(0, 1.5) for i in range(number)}


def bound(seconds, parts):
    """The longest part of the textbook's longest-first, written anew."""
    loads = [0.0] * parts
    for value in sorted(seconds.values(), reverse=True):
        loads[loads.index(min(loads))] += value
    return max(loads)


@given(NAMES, st.integers(1, 9), st.dictionaries(st.text(max_size=8), SECONDS))
def test_whatever_the_timings_say_every_name_is_in_exactly_one_part(names, parts, seconds):
    dealt = split(names, parts, seconds)
    assert dealt.keys() == names
    assert set(dealt.values()) <= set(range(parts))


@given(
    NAMES,
    st.integers(1, 9),
    st.dictionaries(st.text(max_size=8), SECONDS),
    st.dictionaries(st.text(max_size=8), st.integers(-3, 20)),
)
def test_a_stale_split_loses_nothing(names, parts, seconds, before):
    dealt = split(names, parts, seconds, before)
    assert dealt.keys() == names
    assert set(dealt.values()) <= set(range(parts))


@given(st.lists(st.text(max_size=8), unique=True), st.integers(1, 9), st.randoms())
def test_the_order_of_names_does_not_matter(names, parts, chance):
    seconds = {name: chance.random() for name in names}
    shuffled = chance.sample(names, len(names))
    backwards = dict(reversed(seconds.items()))
    assert split(names, parts, seconds) == split(shuffled, parts, backwards)


def test_another_process_deals_the_same():
    program = (
        "from pipelines._shard import split; print(split({f'p{i}' for i in range(99)}, 7, {}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == str(split({f"p{i}" for i in range(99)}, 7, {}))


@pytest.mark.parametrize("seed", range(40))
def test_no_part_is_longer_than_longest_first_allows(seed):
    chance = random.Random(seed)
    seconds, parts = durations(seed, chance.randint(1, 600)), chance.randint(1, 24)
    dealt = split(seconds, parts, seconds)
    assert longest(dealt, seconds) <= bound(seconds, parts) * 1.0001


@pytest.mark.parametrize("seed", range(60))
def test_one_more_test_moves_at_most_two_in_a_hundred(seed):
    chance = random.Random(seed)
    parts = chance.randint(2, 16)
    seconds = durations(seed, chance.randint(12 * parts, 60 * parts))
    before = split(seconds, parts, seconds)
    after = split([*seconds, "example.com/m/new"], parts, seconds, before)
    moved = sum(after[name] != part for name, part in before.items())
    assert moved <= 0.02 * len(seconds)
    weights = weighed(after, seconds)
    assert longest(after, weights) <= 1.05 * bound(weights, parts)


@pytest.mark.parametrize("seed", range(40))
def test_a_year_of_edits_stays_even_and_moves_little(seed):
    """Tests come, go, and take other times; the split is always that of the last time."""
    chance = random.Random(seed)
    parts = chance.randint(2, 12)
    seconds = durations(seed, 30 * parts)
    dealt = split(seconds, parts, seconds)
    moves = total = 0
    for week in range(50):
        seconds = {n: s * chance.uniform(0.9, 1.1) for n, s in seconds.items()}
        seconds[f"example.com/m/w{week}"] = chance.lognormvariate(0, 1.5)
        del seconds[chance.choice(list(seconds))]
        now = split(seconds, parts, seconds, dealt)
        assert longest(now, seconds) <= 1.05 * bound(seconds, parts) * 1.0001
        moves += sum(now[name] != dealt[name] for name in now.keys() & dealt.keys())
        total += len(now)
        dealt = now
    assert moves <= 0.04 * total


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), SECONDS, min_size=1), st.integers(1, 9), st.randoms())
def test_a_kept_split_is_never_more_than_a_twentieth_longer(seconds, parts, chance):
    before = {name: chance.randrange(parts) for name in seconds}
    dealt = split(seconds, parts, seconds, before)
    assert longest(dealt, seconds) <= 1.05 * bound(seconds, parts) * 1.0001


@given(st.integers(1, 12), st.integers(0, 40))
def test_the_parts_of_a_matrix_are_all_of_it(of, number):
    cells = [f"cell {i}" for i in range(number)]
    picked = [Shard(index, of).pick(cells) for index in range(1, of + 1)]
    assert sorted(cell for part in picked for cell in part) == sorted(cells)
    assert max(map(len, picked)) - min(map(len, picked)) <= 1


def test_cells_keep_their_type_and_order():
    cells = matrix(Platform, os=["linux", "darwin"], arch=["amd64", "arm64"])
    assert Shard().pick(cells) == cells
    half = Shard(1, 2).pick(cells)
    assert [cell for cell in cells if cell in half] == list(half)
    assert all(isinstance(cell, Platform) for cell in half)


def test_a_cell_that_takes_long_has_a_part_for_itself():
    assert Shard(1, 2).pick(["a", "b", "c"], {"a": 1, "b": 9, "c": 1}.__getitem__) == ("b",)


def test_cells_that_can_not_be_told_apart_are_refused():
    with pytest.raises(UsageError, match="two of these"):
        Shard(1, 2).pick(["1", 1])


@pytest.mark.parametrize("text", ["", "1", "a/b", "1/2/3", "-1/2", "1.5/2"])
def test_a_shard_is_read_or_refused(text):
    with pytest.raises(UsageError, match="such as 2/3"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["0/2", "3/2", "0/0"])
def test_a_part_that_is_not_there_is_refused(text):
    with pytest.raises(UsageError, match=f"got {text}"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read():
    assert str(Shard.parse(" 2 / 3 ")) == "2/3"
