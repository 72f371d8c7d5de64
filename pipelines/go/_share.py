"""How many packages' tests Go had in its own cache, read from what `go test` printed."""

import re

from pipelines._dagger import dagger
from pipelines._spans import note

__all__ = ["printed", "share"]

_LINE = re.compile(r"^(?:ok  |FAIL)\t\S+\t(.*)$", re.MULTILINE)


def share(printed: str) -> tuple[int, int]:
    """Count packages with tests that were cached, and all of them."""
    ends = _LINE.findall(printed)
    return sum(end.startswith("(cached)") for end in ends), len(ends)


async def printed(tested: dagger.Container) -> str:
    """Give what `go test` printed, and tell the report of the run the share.

    Raises:
        dagger.ExecError: a test failed.
    """
    try:
        text = await tested.stdout()
    except dagger.ExecError as error:
        _tell(error.stdout)
        raise
    _tell(text)
    return text


def _tell(text: str) -> None:
    cached, packages = share(text)
    note(tests={"packages": packages, "cached": cached})
