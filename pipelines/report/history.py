"""The last run of a directory, kept so that `pipelines explain` can tell of it.

`<cache>/runs/<directory's digest>.json`: the stages with what they ran and why, and what they said
of themselves. Written by rename, now and then while the run goes on and at its end: of a run that
is killed nearly all is known. The next run replaces it.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines._processes import alive
from pipelines.report.run import StageRow

__all__ = ["load", "save"]

_FORMAT = 1
RUNNING, KILLED = "running", "killed"


def save(
    cache: Path, directory: Path, rows: Sequence[StageRow], now: float, *, ended: bool = True
) -> None:
    """Keep a run. It tells and decides nothing: if it can not be written, nothing is lost."""
    path = _path(cache, directory)
    draft = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError, RuntimeError):  # rows of a run that goes on may grow meanwhile
        document = {
            "v": _FORMAT,
            "directory": str(directory),
            "at": time.time(),
            "pid": 0 if ended else os.getpid(),
            "stages": [_stage(row, now) for row in rows],
        }
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(document))
        draft.replace(path)


def load(cache: Path, directory: Path) -> list[dict[str, Any]] | None:
    """Give the stages of the last run; None if there was none that is known."""
    try:
        document = json.loads(_path(cache, directory).read_text())
        if document["v"] != _FORMAT:
            return None
        stages: list[dict[str, Any]] = document["stages"]
        if (pid := document.get("pid")) and not alive(pid):
            for stage in stages:
                if stage["result"] == RUNNING:
                    stage["result"] = KILLED
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stages


def _stage(row: StageRow, now: float) -> dict[str, Any]:
    return {
        "stage": row.span.stage,
        "label": row.span.label,
        "seconds": round(row.seconds(now), 3),
        "result": row.result,
        "why": row.why,
        "commands": list(row.commands.values()),
        "notes": row.notes,
    }


def _path(cache: Path, directory: Path) -> Path:
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:32]
    return cache / "runs" / f"{name}.json"
