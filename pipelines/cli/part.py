"""What a shard of a run leaves beside its results, so that `pipelines merge` knows of it.

`pipelines-part.json` in the directory that `--export` names:

    {"v": 1, "shard": "2/3", "exit_code": 1, "error": "…", "stages": [
        {"label", "seconds", "result", "why", "tests": [{"every": […], "mine": […]}]}]}
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines._errors import UsageError
from pipelines._shard import Shard
from pipelines.cli.failures import describe
from pipelines.report.run import Run

__all__ = ["NAME", "Part", "leave", "load"]

NAME = "pipelines-part.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One shard of a run, as it was left in `directory`."""

    directory: Path
    shard: Shard
    exit_code: int
    error: str
    stages: tuple[dict[str, Any], ...]


def leave(
    directory: Path, shard: Shard, run: Run, exit_code: int, failure: BaseException | None
) -> None:
    """Leave what is known of this shard."""
    now = time.monotonic()
    stages = [
        {
            "label": row.span.label,
            "seconds": round(row.seconds(now), 3),
            "result": row.result,
            "why": row.why,
            "tests": [note["tests_of"] for note in row.notes if "tests_of" in note],
        }
        for row in run.rows()
    ]
    error = describe(failure) if failure else ""
    part = asdict(Part(directory, shard, exit_code, error, tuple(stages)))
    document = {**part, "v": _FORMAT, "shard": str(shard)}
    del document["directory"]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / NAME).write_text(json.dumps(document, indent=1) + "\n")


def load(directory: Path) -> Part:
    """Read what a shard left.

    Raises:
        UsageError: it left nothing, or something else.
    """
    path = directory / NAME
    try:
        document = json.loads(path.read_text())
        if document["v"] != _FORMAT:
            raise UsageError(f"{path} is of another version of pipelines: {document['v']}")
        return Part(
            directory,
            Shard.parse(document["shard"]),
            int(document["exit_code"]),
            str(document["error"]),
            tuple(document["stages"]),
        )
    except FileNotFoundError as exc:
        raise UsageError(
            f"{directory} holds no part of a run: there is no {NAME} in it; "
            "`pipelines run STAGE --shard I/N --export DIR` leaves one"
        ) from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        if isinstance(exc, UsageError):
            raise
        raise UsageError(f"{path} can not be read as a part of a run: {exc}") from exc
