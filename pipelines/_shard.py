"""A part of a run that several CI jobs share, and who gets what.

Theory of operation
    Every job computes the same split from the same names and seconds, so no job has to know of the
    others, and together they do everything once. What takes how long comes from a file that all of
    them have; names that are not in it count as the median, names that are gone count for nothing.

    Longest first, each to the part with the least (LPT), is within 4/3 of the best split and mostly
    within a percent. But a split that begins anew each time moves nearly everything when one name
    is added, and what moves finds no warm cache where it comes to. So the last split is kept
    and mended: new names go where there is least, and only if the longest part is then more than
    5 % above LPT's do names move, few and large ones first. If that does not help, LPT it is, its
    parts numbered so that most stays where it was.
"""

import heapq
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from pipelines._errors import UsageError

__all__ = ["Shard", "longest", "split"]

T = TypeVar("T")

SLACK = 1.05


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `of`, counted from 1. `Shard()` is everything.

    A stage with a parameter of this type gets what `pipelines run --shard 2/3` says:

        async def build(source: Directory, shard: Shard = Shard()) -> Directory:
            return dist(await gather({p: go.build(source, p) for p in shard.pick(TARGETS)}))

    Raises:
        UsageError: there is no such part.
    """

    index: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of:
            raise UsageError(f"a shard is 1/N to N/N; got {self.index}/{self.of}")

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `2/3`."""
        found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
        if found is None:
            raise UsageError(f"a shard is I/N, such as 2/3; got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def pick(
        self, cells: Iterable[T], seconds: Callable[[T], float] | None = None
    ) -> tuple[T, ...]:
        """Give the cells of this part, in their order; `seconds` says how long one takes.

        Raises:
            UsageError: two cells have the same text, which names them.
        """
        listed = tuple(cells)
        every = {str(cell): cell for cell in listed}
        if len(every) != len(listed):
            raise UsageError("cells are told apart by their texts, and two of these have the same")
        known = {name: seconds(cell) for name, cell in every.items()} if seconds else {}
        parts = split(every, self.of, known)
        return tuple(cell for name, cell in every.items() if parts[name] == self.index - 1)


def split(
    names: Iterable[str],
    parts: int,
    seconds: Mapping[str, float],
    before: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Deal names out to parts 0 to `parts` - 1; a pure function of its arguments, every name once.

    Args:
        names: What is dealt out, in any order.
        parts: How many parts.
        seconds: How long names took; of what has no number, the median is taken.
        before: The last split, of which as much is kept as can be.
    """
    weights = weighed(names, seconds)
    best = _longest_first(weights, parts)
    kept = {n: p for n, p in (before or {}).items() if n in weights and 0 <= p < parts}
    if not kept:
        return best
    bound = SLACK * longest(best, weights)
    dealt = _mended(_completed(kept, weights, parts), weights, parts, bound)
    return dealt if longest(dealt, weights) <= bound else _renamed(best, kept, parts)


def weighed(names: Iterable[str], seconds: Mapping[str, float]) -> dict[str, float]:
    """Give every name its seconds, or the median of those that are known."""
    names = sorted(set(names))
    known = {n: max(0.0, seconds[n]) for n in names if n in seconds}
    usual = sorted(known.values())[len(known) // 2] if known else 1.0  # the median
    return {name: known.get(name, usual) for name in names}


def longest(dealt: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """Give the seconds of the longest part."""
    return max(_loads(dealt, weights, 1 + max(dealt.values(), default=0)))


def _loads(dealt: Mapping[str, int], weights: Mapping[str, float], parts: int) -> list[float]:
    loads = [0.0] * parts
    for name, part in sorted(dealt.items()):  # sums of floats depend on their order
        loads[part] += weights[name]
    return loads


def _longest_first(weights: Mapping[str, float], parts: int) -> dict[str, int]:
    return _completed({}, weights, parts)


def _completed(
    dealt: Mapping[str, int], weights: Mapping[str, float], parts: int
) -> dict[str, int]:
    """Deal out the names that are in no part yet, longest first, each to where there is least."""
    result = dict(dealt)
    heap = [(load, part) for part, load in enumerate(_loads(dealt, weights, parts))]
    heapq.heapify(heap)
    for name in sorted(weights.keys() - dealt.keys(), key=lambda n: (-weights[n], _mixed(n))):
        load, part = heap[0]
        result[name] = part
        heapq.heapreplace(heap, (load + weights[name], part))
    return result


def _mixed(name: str) -> str:
    """Order names of equal length by nothing that they have in common."""
    return sha256(name.encode(errors="surrogateescape")).hexdigest()


def _mended(
    dealt: dict[str, int], weights: Mapping[str, float], parts: int, bound: float
) -> dict[str, int]:
    """Move names out of parts that are too long: each time the one that evens out the most."""
    loads = _loads(dealt, weights, parts)
    for _ in range(len(dealt)):
        high = max(range(parts), key=lambda part: loads[part])
        low = min(range(parts), key=lambda part: loads[part])
        if loads[high] <= bound:
            break
        gap = loads[high] - loads[low]
        movable = [n for n, part in dealt.items() if part == high and 0 < weights[n] < gap]
        if not movable:
            break
        name = min(movable, key=lambda n: (abs(gap / 2 - weights[n]), n))
        dealt[name] = low
        loads[high] -= weights[name]
        loads[low] += weights[name]
    return dealt


def _renamed(dealt: Mapping[str, int], before: Mapping[str, int], parts: int) -> dict[str, int]:
    """Give the parts of a new split such numbers that most names stay where they were."""
    shared = [[0] * parts for _ in range(parts)]
    for name, part in dealt.items():
        if name in before:
            shared[part][before[name]] += 1
    pairs = sorted(
        ((count, new, old) for new, row in enumerate(shared) for old, count in enumerate(row)),
        key=lambda found: (-found[0], found[1:]),
    )
    number: dict[int, int] = {}
    for _, new, old in pairs:
        if new not in number and old not in number.values():
            number[new] = old
    return {name: number[part] for name, part in dealt.items()}
