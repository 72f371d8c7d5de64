"""Rows, and the one table made of them."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ci.bench.measure import Series

__all__ = ["Report", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `value` and `reference` are in `unit`."""

    group: str
    name: str
    value: float
    unit: str
    count: int
    versus: str = ""
    reference: float | None = None
    reach: str = ""

    @property
    def ratio(self) -> float | None:
        """Divide value by reference, if there is one."""
        return self.value / self.reference if self.reference else None

    def cells(self) -> tuple[str, ...]:
        """Format the row."""
        reference = "–"
        if self.reference is not None:
            reference = f"{_number(self.reference, self.unit)} ({self.versus})"
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else "–"
        value = _number(self.value, self.unit)
        return (self.group, self.name, value, reference, ratio, self.reach or "–", str(self.count))


@dataclass(slots=True)
class Report:
    """What was measured and what was left out, with the reason."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Keep a row and show it."""
        self.rows.append(row)
        print("  " + " · ".join(row.cells()), flush=True)

    def compare(self, group: str, name: str, series: dict[str, Series], reach: str = "") -> None:
        """Add a row for the first contestant against each of the others."""
        (_, ours), *rest = series.items()
        others: list[tuple[str, Series | None]] = [*rest] or [("", None)]
        for versus, theirs in others:
            self.add(
                Row(
                    group,
                    name,
                    ours.median,
                    "s",
                    len(ours.samples),
                    versus,
                    None if theirs is None else theirs.median,
                    reach,
                )
            )

    def skip(self, what: str, why: str) -> None:
        """Keep the reason why something was not measured."""
        self.skipped.append(f"{what}: {why}")
        print(f"  skipped {what}: {why}", flush=True)

    def markdown(self) -> str:
        """Format the table."""
        head = ("group", "what", "pipelines", "reference", "ratio", "reach", "n")
        lines = [_line(head), _line("---" for _ in head), *(_line(r.cells()) for r in self.rows)]
        facts = "; ".join(f"{k} {v}" for k, v in self.machine.items())
        notes = "".join(f"\n- not measured: {text}" for text in self.skipped)
        return f"{facts}\n\n" + "\n".join(lines) + "\n" + notes

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        rows = [asdict(r) | {"ratio": r.ratio} for r in self.rows]
        document = {"machine": self.machine, "rows": rows, "skipped": self.skipped}
        path.write_text(json.dumps(document, indent=2) + "\n")


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float, unit: str) -> str:
    if unit == "s" and value < 1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.0f} {unit}"
