"""Numbers as words."""

__all__ = ["seconds"]


def seconds(value: float) -> str:
    """Write a duration for people: `0.4 s`, `12 s`, `2m10s`."""
    if value < 9.95:  # noqa: PLR2004 - below, tenths are of interest
        return f"{value:.1f} s"
    if value < 59.5:  # noqa: PLR2004
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}m{rest:02d}s"
