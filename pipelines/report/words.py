"""Numbers as words, and words in columns."""

from collections.abc import Iterator, Sequence

__all__ = ["columns", "seconds"]


def seconds(value: float) -> str:
    """Write a duration for people: `0.4 s`, `12 s`, `2m10s`."""
    if value < 9.95:  # noqa: PLR2004 - below, tenths are of interest
        return f"{value:.1f} s"
    if value < 59.5:  # noqa: PLR2004
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}m{rest:02d}s"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay rows out in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
