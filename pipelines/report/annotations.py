"""Annotations: what failed, at its line, as a CI system shows it beside the source.

Source: GitHub Actions, workflow commands (`::error file=…,line=…,title=…::message`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.report.run import StageRow

__all__ = ["annotations", "github"]

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def annotations(rows: Sequence[StageRow]) -> list[Mapping[str, Any]]:
    """Give what stages said: `title`, `message`, and `file`, `line` of the source where known."""
    notes = (note for row in rows for note in row.notes)
    return [one for note in notes for one in note.get("annotations", ())]


def github(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Spell annotations as commands to GitHub's runner."""
    for one in found:
        known = (name for name in ("file", "line", "title") if name in one)
        where = ",".join(f"{name}={_property(one[name])}" for name in known)
        yield f"::error {where}::{_data(one['message'])}"


def _data(value: object) -> str:
    text = _CONTROL.sub("\ufffd", str(value))
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
