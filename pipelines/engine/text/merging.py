"""Three-way merges of texts, as git merges them.

Changes of either side that do not touch one another are both made. Where they touch, equal ones
are made once, and others are a conflict, from which the lines that both sides begin and end
with are taken out.

Source: git's documentation of `merge-file`; xdiff's "zealous" merge.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from pipelines.engine.text.lines import Change, changed, split

__all__ = ["Favour", "merge"]

Favour = Literal["", "ours", "theirs"]
Lines = Sequence[bytes]
Group = tuple[int, int, list[Change], list[Change]]


def merge(base: bytes, ours: bytes, theirs: bytes, favour: Favour = "") -> tuple[bytes, bool]:
    """Merge two texts that were made of one; say whether all went well.

    Without `favour` conflicts stay in the text, between markers.
    """
    old, one, other = split(base), split(ours), split(theirs)
    made: list[bytes] = []
    at, fine = 0, True
    for start, end, mine, others in _groups(changed(old, one), changed(old, other)):
        made += old[at:start]
        at = end
        left, right = _side(old, one, start, end, mine), _side(old, other, start, end, others)
        if not others or left == right or (mine and favour == "ours"):
            made += left
        elif not mine or favour == "theirs":
            made += right
        else:
            made += _conflict(left, right)
            fine = False
    return b"".join([*made, *old[at:]]), fine


def _groups(ours: Sequence[Change], theirs: Sequence[Change]) -> Iterator[Group]:
    """Cut the base into stretches whose changes touch one another."""
    mine, others = list(ours), list(theirs)
    while mine or others:
        first = min((side[0] for side in (mine, others) if side), key=lambda change: change[0])
        start, end = first[:2]
        group: Group = (start, end, [], [])
        grown = True
        while grown:
            grown = False
            for side, taken in ((mine, group[2]), (others, group[3])):
                while side and (side[0] is first or side[0][0] <= end) and side[0][0] >= start:
                    change = side.pop(0)
                    taken.append(change)
                    end = max(end, change[1])
                    grown = True
        yield start, end, group[2], group[3]


def _side(old: Lines, new: Lines, start: int, end: int, changes: Sequence[Change]) -> list[bytes]:
    """Give what one side made of a stretch of the base."""
    made: list[bytes] = []
    at = start
    for first, last, begin, stop in changes:
        made += [*old[at:first], *new[begin:stop]]
        at = last
    return [*made, *old[at:end]]


def _conflict(left: list[bytes], right: list[bytes]) -> list[bytes]:
    head = 0
    while head < min(len(left), len(right)) and left[head] == right[head]:
        head += 1
    tail = 0
    while tail < min(len(left), len(right)) - head and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    ours, theirs = left[head : len(left) - tail], right[head : len(right) - tail]
    return [
        *left[:head],
        b"<<<<<<< HEAD\n",
        *_ended(ours),
        b"=======\n",
        *_ended(theirs),
        b">>>>>>> theirs\n",
        *left[len(left) - tail :],
    ]


def _ended(lines: list[bytes]) -> list[bytes]:
    """See to it that a marker begins a line."""
    return [line if line.endswith(b"\n") else line + b"\n" for line in lines]
