"""How many packages' tests Go had in its own cache, read from what `go test` printed."""

import re

from pipelines._spans import note

__all__ = ["share", "tell_share"]

_LINE = re.compile(r"^(?:ok  |FAIL)\t\S+\t(.*)$", re.MULTILINE)


def share(printed: str) -> tuple[int, int]:
    """Count packages with tests that were cached, and all of them."""
    ends = _LINE.findall(printed)
    return sum(end.startswith("(cached)") for end in ends), len(ends)


def tell_share(printed: str) -> None:
    """Tell the report of the run."""
    cached, packages = share(printed)
    note(tests={"packages": packages, "cached": cached})
