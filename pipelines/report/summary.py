"""The table at the end of a run."""

from collections.abc import Sequence

from pipelines.report.run import StageRow
from pipelines.report.words import seconds

__all__ = ["table"]

HEAD = ("stage", "platform", "duration", "result", "why")


def table(rows: Sequence[StageRow], now: float) -> str:
    """Lay the stages out in columns, in the order in which they started; empty for none.

    The last column says what made a stage run, if anything did.
    """
    if not rows:
        return ""
    cells = [HEAD, *(_row(row, now) for row in rows)]
    if not any(row.why for row in rows):
        cells = [line[:-1] for line in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            text.rjust(width) if column == 2 else text.ljust(width)  # noqa: PLR2004 - durations
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )
    return "\n".join(lines) + "\n"


def _row(row: StageRow, now: float) -> tuple[str, ...]:
    return row.span.stage, _cell(row), seconds(row.seconds(now)), row.result, row.why


def _cell(row: StageRow) -> str:
    return "" if row.span.cell == row.span.stage else row.span.cell
