import random

import pytest

from pipelines.engine.text import lines
from pipelines.engine.text.lines import changed, split


def rebuilt(old, new, changes):
    made, at = [], 0
    for start, end, first, last in changes:
        made += [*old[at:start], *new[first:last]]
        at = end
    return [*made, *old[at:]]


def common(old, new):
    """The longest common subsequence, by the book."""
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i, one in enumerate(old):
        for j, other in enumerate(new):
            equal = best[i][j] + 1
            best[i + 1][j + 1] = equal if one == other else max(best[i][j + 1], best[i + 1][j])
    return best[-1][-1]


def samples(letters, count=400):
    chance = random.Random(7)
    for _ in range(count):
        yield tuple([chance.choice(letters) for _ in range(chance.randrange(12))] for _ in "ab")


def test_changes_turn_the_old_text_into_the_new_with_the_fewest_lines():
    for old, new in samples([b"a", b"b", b"c"]):
        changes = changed(old, new)
        assert rebuilt(old, new, changes) == new
        touched = sum(t - s + v - u for s, t, u, v in changes)
        assert touched == len(old) + len(new) - 2 * common(old, new)


def test_texts_that_are_too_different_are_cut_at_lines_that_occur_once(monkeypatch):
    monkeypatch.setattr(lines, "LIMIT", 1)
    for old, new in samples([b"a", b"b", b"c", b"d", b"e", b"f", b"g"]):
        assert rebuilt(old, new, changed(old, new)) == new
    assert changed([b"x", b"same", b"y"], [b"p", b"q", b"same", b"r"]) == [
        (0, 1, 0, 2),
        (2, 3, 3, 4),
    ]


def test_a_large_rewritten_text_takes_no_time():
    old, new = ([b"%d" % (n * k) for n in range(50_000)] for k in (2, 3))
    assert rebuilt(old, new, changed(old, new)) == new


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", []), (b"a", [b"a"]), (b"a\n", [b"a\n"]), (b"a\n\nb", [b"a\n", b"\n", b"b"])],
)
def test_lines_keep_their_ends(data, expected):
    assert split(data) == expected
