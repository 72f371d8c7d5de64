"""Results of benchmarks, and what can be said of two of them. Pure functions.

Each benchmark is run several times. Two sets of runs are compared by their medians, and whether
they differ at all is asked of the Mann-Whitney U test: if both were of one kind, how likely is it
that their ranks lie as far apart as they do? It asks nothing of the shape of the noise. The
likelihood is counted exactly, ties included, as long as that is cheap. Below 0.05 the change is
told, else `~` is: not known to differ, which is not the same as equal. Of twenty benchmarks
that did not change, one is told as changed by chance.

Source: package `golang.org/x/perf/benchfmt` for the format.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.report.words import columns

__all__ = ["Key", "as_json", "compared", "likelihood", "read"]

FEWEST = 4  # runs on each side, with which 0.05 can be reached
CERTAIN = 0.05
EXACT = 60  # runs in all up to which likelihood is counted, not approximated
_LINE = re.compile(r"Benchmark(?P<name>\S*?)(?:-\d+)?\s+\d+\s+(?P<values>\S.*)")


@dataclass(frozen=True, order=True, slots=True)
class Key:
    """What was measured: a benchmark of a package, in a unit."""

    package: str
    name: str
    unit: str


def read(text: str) -> dict[Key, list[float]]:
    """Read what `go test -bench` printed."""
    found: dict[Key, list[float]] = {}
    package = ""
    for line in text.splitlines():
        if line.startswith("pkg: "):
            package = line.removeprefix("pkg: ").strip()
        elif match := _LINE.fullmatch(line.rstrip()):
            words = match["values"].split()
            for value, unit in zip(words[::2], words[1::2], strict=False):
                found.setdefault(Key(package, match["name"], unit), []).append(float(value))
    return found


def as_json(found: Mapping[Key, Sequence[float]]) -> str:
    """Write results for programs: every run, and the median."""
    rows = [
        {"package": k.package, "name": k.name, "unit": k.unit, "runs": runs, "median": median(runs)}
        for k, runs in sorted(found.items())
    ]
    return json.dumps({"v": 1, "benchmarks": rows}, indent=1) + "\n"


def compared(base: Mapping[Key, Sequence[float]], now: Mapping[Key, Sequence[float]]) -> str:
    """Say in a table what changed, and how sure that is."""
    rows = [("benchmark", "unit", "base", "now", "change")]
    rows += [
        (f"{key.package} {key.name}".strip(), key.unit, *_sides(base, now, key))
        for key in sorted(base.keys() | now.keys())
    ]
    return "".join(f"{line}\n" for line in columns(rows))


def _sides(
    base: Mapping[Key, Sequence[float]], now: Mapping[Key, Sequence[float]], key: Key
) -> tuple[str, str, str]:
    before, after = base.get(key, ()), now.get(key, ())
    if not before or not after:
        return _middle(before), _middle(after), "only in base" if before else "only now"
    return _middle(before), _middle(after), _change(before, after)


def _middle(runs: Sequence[float]) -> str:
    """Write the median, and by how much runs lie around it."""
    if not runs:
        return ""
    middle = median(runs)
    spread = max(abs(run - middle) for run in runs)
    return f"{middle:.4g} ±{100 * spread / middle:.0f}%" if middle else f"{middle:.4g}"


def _change(before: Sequence[float], after: Sequence[float]) -> str:
    runs = f"n={len(before)}+{len(after)}"
    if min(len(before), len(after)) < FEWEST:
        return f"~ ({runs}: at least {FEWEST} runs each are needed)"
    p = likelihood(before, after)
    if p >= CERTAIN or not median(before):
        return f"~ (p={p:.3f} {runs})"
    change = 100 * (median(after) / median(before) - 1)
    return f"{change:+.2f}% (p={p:.3f} {runs})"


def likelihood(one: Sequence[float], other: Sequence[float]) -> float:
    """Give the two-sided p of the Mann-Whitney U test."""
    ranks = _ranks([*one, *other])  # twice the rank, so that ties are whole numbers
    seen = sum(ranks[: len(one)])
    mean = sum(ranks) * len(one) / len(ranks)
    far = abs(seen - mean)
    if len(ranks) > EXACT:
        return _approximated(ranks, len(one), far)
    ways = _sums(ranks, len(one))
    every = sum(ways.values())
    return sum(n for total, n in ways.items() if abs(total - mean) >= far - 1e-9) / every


def _ranks(values: Sequence[float]) -> list[int]:
    ordered = sorted(values)
    first = {value: at for at, value in reversed(list(enumerate(ordered)))}
    last = {value: at for at, value in enumerate(ordered)}
    return [first[value] + last[value] + 2 for value in values]


def _sums(ranks: Iterable[int], size: int) -> Mapping[int, int]:
    """Count in how many ways `size` of the ranks have which sum."""
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in range(size))]
    for rank in ranks:
        for chosen in range(size, 0, -1):
            for total, number in ways[chosen - 1].items():
                ways[chosen][total + rank] = ways[chosen].get(total + rank, 0) + number
    return ways[size]


def _approximated(ranks: Sequence[int], size: int, far: float) -> float:
    """Take the sum of ranks for normal; the variance counts ties."""
    number, mean = len(ranks), sum(ranks) / len(ranks)
    squares = sum((rank - mean) ** 2 for rank in ranks)
    variance = size * (number - size) / (number * (number - 1)) * squares
    return math.erfc(far / math.sqrt(2 * variance)) if variance else 1.0
