"""The table at the end of a run."""

from collections.abc import Sequence

from pipelines.report.run import StageRow
from pipelines.report.words import seconds

__all__ = ["table"]

HEAD = ("stage", "platform", "duration", "result")


def table(rows: Sequence[StageRow], now: float) -> str:
    """Lay the stages out in columns, in the order in which they started; empty for none."""
    if not rows:
        return ""
    cells = [HEAD, *((r.span.stage, _cell(r), seconds(r.seconds(now)), r.result) for r in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = (
        "  ".join(
            text.rjust(width) if column == 2 else text.ljust(width)  # noqa: PLR2004 - durations
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )
    return "\n".join(lines) + "\n"


def _cell(row: StageRow) -> str:
    return "" if row.span.cell == row.span.stage else row.span.cell
