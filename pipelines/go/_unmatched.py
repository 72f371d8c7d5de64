"""Patterns that match no package are wrong use, not tests that failed."""

import re
from collections.abc import Sequence

from pipelines._dagger import dagger
from pipelines._errors import UsageError
from pipelines.go._results import Results

__all__ = ["unmatched"]

_NONE = re.compile(r"matched no packages|no packages to test|no packages to list")
_SETUP = re.compile(r"^FAIL\t(?P<pattern>\.\S*) \[setup failed\]", re.MULTILINE)


def unmatched(
    patterns: Sequence[str], error: dagger.ExecError, results: Results | None = None
) -> UsageError | None:
    """Give the error to raise if `go test` failed for want of packages; None if not so."""
    if _NONE.search(error.stderr) and not (results and results.packages):
        return UsageError(f"no package matches {' '.join(patterns)}: {_last(error.stderr)}")
    if results is not None and results.unmatched:
        package = results.unmatched[0]
        return UsageError(f"no package matches {package.path}: {_first(package.build)}")
    if results is None and (found := _SETUP.search(error.stdout)):
        return UsageError(f"no package matches {found['pattern']}: {_last(error.stderr)}")
    return None


def _first(text: str) -> str:
    lines = text.strip().splitlines()
    return next((line for line in lines if not line.startswith("#")), "")


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
