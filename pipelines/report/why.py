"""Why a command ran, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["phrase", "summary"]

_FIXED = {
    "first run": "first run",
    "failed": "it failed the last time",
    "evicted": "its result is no longer in the store",
}


def phrase(reason: Mapping[str, str]) -> str:
    """Say one reason, as the engine's `why` event tells it."""
    kind, what = reason.get("kind", ""), reason.get("what", "")
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "cache volume":
        return f"the cache volume {what} is empty"
    subject = {
        "command": f"the command's {what}",
        "environment": f"variable {what}",
        "image": "the image",
        "toolchain": "the toolchain",
        "service": f"service {what}",
    }.get(kind, what)
    before, after = reason.get("before", ""), reason.get("after", "")
    if kind in {"file", "environment", "mount", "service"} and not (before and after):
        return f"{subject} is {'new' if after else 'gone'}"
    return f"{subject} changed ({_short(before)} → {_short(after)})"


def summary(reasons: Sequence[Mapping[str, str]], count: int) -> str:
    """Say the first reason and how many there are beside it; "" without any."""
    if not reasons:
        return ""
    first = phrase(reasons[0])
    return first if count <= 1 else f"{first}, and {count - 1} more"


def _short(text: Any) -> str:
    words = " ".join(str(text).split()) or "nothing"
    return words if len(words) <= 60 else f"{words[:59]}…"  # noqa: PLR2004 - one line of a terminal
