"""How long tests took, and who ran them: what the next run deals them out by.

    {"v": 1, "seconds": {"example.com/m/a": 1.5}, "measured": ["example.com/m/a"],
     "shards": {"3": {"example.com/m/a": 0}}}

`seconds` are the newest that are known, `measured` whose are of this very run, `shards` the part of
each name by how many parts there were. A file that is damaged, or of another time, costs evenness
and nothing else.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Timings", "merge", "read", "write"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds by name, whose are new, and the splits that were made."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    measured: frozenset[str] = frozenset()
    shards: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    def after(
        self,
        known: Iterable[str],
        seconds: Mapping[str, float],
        splits: Mapping[int, Mapping[str, int]],
    ) -> "Timings":
        """Give what is known after a run: names that are gone are forgotten."""
        now = {**{n: self.seconds[n] for n in known if n in self.seconds}, **seconds}
        return Timings(now, frozenset(seconds), {**self.shards, **splits})


def read(text: str) -> Timings:
    """Read timings; what can not be read is left out."""
    try:
        document = json.loads(text)
        if document["v"] != _FORMAT:
            return Timings()
        seconds = {str(n): float(s) for n, s in document["seconds"].items() if float(s) >= 0}
        shards = {
            int(parts): {str(n): int(p) for n, p in dealt.items()}
            for parts, dealt in document.get("shards", {}).items()
        }
        return Timings(seconds, frozenset(map(str, document.get("measured", ()))), shards)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Timings()


def merge(parts: Iterable[Timings]) -> Timings:
    """Merge what the parts of a run measured."""
    parts = list(parts)
    seconds: dict[str, float] = {}
    shards: dict[int, dict[str, int]] = {}
    for part in parts:
        seconds |= part.seconds
        for number, dealt in part.shards.items():
            shards.setdefault(number, {}).update(dealt)
    for part in parts:
        seconds |= {name: part.seconds[name] for name in part.measured if name in part.seconds}
    return Timings(seconds, frozenset().union(*(part.measured for part in parts)), shards)


def write(timings: Timings) -> str:
    """Write timings, sorted, so that they can be kept in a repository."""
    document = {
        "v": _FORMAT,
        "seconds": {name: round(value, 3) for name, value in sorted(timings.seconds.items())},
        "measured": sorted(timings.measured),
        "shards": {
            str(number): dict(sorted(dealt.items()))
            for number, dealt in sorted(timings.shards.items())
        },
    }
    return json.dumps(document, indent=1) + "\n"
