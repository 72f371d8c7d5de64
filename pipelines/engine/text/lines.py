"""Which lines of a text changed.

Theory of operation
    What both texts begin and end with is set aside. The rest is compared by Myers' greedy
    algorithm, which finds the fewest changed lines in time that grows with the square of their
    number; so it is given up at `LIMIT`. Then the lines that occur once in both texts are used
    to cut the rest into pieces ("patience"), and each piece is compared by itself. A piece that
    is still too different is replaced whole, which is correct, if not the shortest.

Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986); patience diff is
B. Cohen's.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Change", "changed", "split"]

LIMIT = 400

Change = tuple[int, int, int, int]
"""Lines from the first to before the second of the old text became those of the new one."""


def split(data: bytes) -> list[bytes]:
    """Cut into lines that keep their ends; the last may have none."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def changed(old: Sequence[bytes], new: Sequence[bytes]) -> list[Change]:
    """List what changed, in order; neighbours are one change."""
    known: dict[bytes, int] = {}
    a = [known.setdefault(line, len(known)) for line in old]
    b = [known.setdefault(line, len(known)) for line in new]
    return list(_joined(_compare(a, b)))


def _joined(changes: Iterable[Change]) -> Iterator[Change]:
    held: Change | None = None
    for change in changes:
        if held is not None and held[1] == change[0] and held[3] == change[2]:
            held = (held[0], change[1], held[2], change[3])
            continue
        if held is not None:
            yield held
        held = change
    if held is not None:
        yield held


def _compare(a: list[int], b: list[int]) -> Iterator[Change]:
    """Compare two texts, piece by piece."""
    pending = [(0, len(a), 0, len(b))]
    while pending:
        a0, a1, b0, b1 = _trimmed(a, b, pending.pop())
        if a0 == a1 or b0 == b1:
            if a0 != a1 or b0 != b1:
                yield a0, a1, b0, b1
            continue
        found = _myers(a[a0:a1], b[b0:b1])
        if found is not None:
            yield from ((a0 + s, a0 + t, b0 + u, b0 + v) for s, t, u, v in found)
            continue
        anchors = _anchors(a[a0:a1], b[b0:b1])
        if not anchors:
            yield a0, a1, b0, b1
            continue
        cuts = [(a0 + x, b0 + y) for x, y in anchors]
        starts = [(a0, b0), *((x + 1, y + 1) for x, y in cuts)]
        ends = [*cuts, (a1, b1)]
        pieces = [(s[0], e[0], s[1], e[1]) for s, e in zip(starts, ends, strict=True)]
        pending += pieces[::-1]


def _trimmed(a: list[int], b: list[int], piece: Change) -> Change:
    a0, a1, b0, b1 = piece
    while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    return a0, a1, b0, b1


def _myers(a: list[int], b: list[int]) -> list[Change] | None:
    """Find the fewest changes; None if there are more than the limit."""
    n, m = len(a), len(b)
    reach = {1: 0}
    trail: list[dict[int, int]] = []
    for d in range(min(n + m, LIMIT) + 1):
        trail.append(dict(reach))
        # Diagonals that leave the texts lead nowhere.
        for k in range(-min(d, 2 * m - d), min(d, 2 * n - d) + 1, 2):
            down = k == -d or (k != d and reach.get(k - 1, -1) < reach.get(k + 1, -1))
            x = reach[k + 1] if down else reach[k - 1] + 1
            y = x - k
            while x < n and y < m and a[x] == b[y]:
                x, y = x + 1, y + 1
            reach[k] = x
            if x >= n and y >= m:
                return _retraced(trail, n, m)
    return None


def _retraced(trail: list[dict[int, int]], n: int, m: int) -> list[Change]:
    """Walk back from the end; every step that is no diagonal is a change of one line."""
    x, y = n, m
    steps: list[Change] = []
    for d in range(len(trail) - 1, 0, -1):
        reach, k = trail[d], x - y
        down = k == -d or (k != d and reach.get(k - 1, -1) < reach.get(k + 1, -1))
        before = k + 1 if down else k - 1
        px = reach[before]
        py = px - before
        steps.append((px, px, py, py + 1) if down else (px, px + 1, py, py))
        x, y = px, py
    return steps[::-1]


def _anchors(a: list[int], b: list[int]) -> list[tuple[int, int]]:
    """Pair lines that occur once in both texts, as many as keep their order."""
    in_a, in_b = Counter(a), Counter(b)
    place = {line: at for at, line in enumerate(b) if in_b[line] == 1}
    pairs = [(at, place[line]) for at, line in enumerate(a) if in_a[line] == 1 and line in place]
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for at, (_, y) in enumerate(pairs):
        length = bisect_left(tails, y)
        before.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [y]
        ends[length : length + 1] = [at]
    chain: list[tuple[int, int]] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]
