"""The table at the end, and a line for every round."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["line", "table"]

Row = Mapping[str, Any]
HEAD = ("kind", "rounds", "stale", "missed", "wrong reason", "executed", "needed")
TIMES = ("ours, s", "uncached, s")


def line(project: str, row: Row) -> str:
    """Say a round in a line, and what is wrong with it in more."""
    text = (
        f"{project} {row['round']:>3} {row['kind']:<18} "
        f"executed {row['executed']}, needed {row['needed']}, "
        f"{row['ours']:.1f} s, uncached {row['uncached']:.1f} s: {', '.join(row['files'][:3])}"
    )
    for what in ("stale", "missed", "wrong"):
        text += "".join(f"\n    {what}: {each}" for each in row[what])
    return text


def table(rows: Mapping[str, Sequence[Row]]) -> str:
    """Lay out all rounds but the first of each project, by kind and together."""
    every = [row for each in rows.values() for row in each if row["round"]]
    kinds = sorted({row["kind"] for row in every})
    lines = [_cells(kind, [row for row in every if row["kind"] == kind]) for kind in kinds]
    lines += [
        _cells(f"all of {name}", [r for r in each if r["round"]]) for name, each in rows.items()
    ]
    lines.append(_cells("all", every))
    head = [*HEAD, *TIMES]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *lines])


def _cells(kind: str, rows: Sequence[Row]) -> list[str]:
    sums = [sum(len(row[what]) for row in rows) for what in ("stale", "missed", "wrong")]
    counts = [sum(row[what] for row in rows) for what in ("executed", "needed")]
    times = [f"{sum(row[what] for row in rows):.0f}" for what in ("ours", "uncached")]
    return [kind.replace("_", " "), str(len(rows)), *map(str, [*sums, *counts]), *times]
