"""Decide which engine answers the queries: a pure function, without imports that take time.

DAGGER_SESSION_PORT is set                                   that session
engine named, or _EXPERIMENTAL_DAGGER_RUNNER_HOST is set     the named engine; Dagger's
Linux                                                        the embedded engine
elsewhere                                                    Dagger's engine
"""

from collections.abc import Mapping
from typing import Literal

from pipelines._errors import UsageError

__all__ = ["choose"]


def choose(
    engine: str, environ: Mapping[str, str], system: str
) -> Literal["session", "embedded", "dagger"]:
    """Decide who answers, as the module says."""
    if engine not in ("auto", "embedded", "dagger"):
        raise UsageError(f"unknown engine {engine!r}; there are: auto, embedded, dagger")
    if environ.get("DAGGER_SESSION_PORT"):
        return "session"
    remote = engine == "auto" and environ.get("_EXPERIMENTAL_DAGGER_RUNNER_HOST")
    if engine == "dagger" or remote:
        return "dagger"
    if system == "linux":
        return "embedded"
    if engine == "embedded":
        raise UsageError(f"the embedded engine needs Linux, this is {system}; use --engine dagger")
    return "dagger"
