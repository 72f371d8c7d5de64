"""Progress as JSON, one object a line, for programs.

    {"v": 1, "event": "stage", "state": "started"|"finished", "stage", "cell", "span", "parent",
     "seconds", "result", "ran", "cached"}
    {"v": 1, "event": "exec", …}, {"v": 1, "event": "why", …}, {"v": 1, "event": "log", …}
     as the engine tells them
    {"v": 1, "event": "notice", "text"}
    {"v": 1, "event": "summary", "exit_code", "seconds", "stages": […]}

Fields are added, never changed; `v` counts what could not be done that way.
"""

import json
import time
from collections.abc import Callable
from typing import Any, TextIO

from pipelines.report.run import StageRow

__all__ = ["Json", "stage_fields"]


def stage_fields(row: StageRow, now: float) -> dict[str, Any]:
    """Give a stage's row as JSON."""
    return {
        "stage": row.span.stage,
        "cell": row.span.cell,
        "span": row.span.id,
        "parent": row.span.parent,
        "seconds": round(row.seconds(now), 3),
        "result": row.outcome,
        "ran": row.ran,
        "cached": row.cached,
    }


class Json:
    """Writes every event as a line of JSON."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock

    def stage(self, row: StageRow) -> None:
        """Write a stage's start or end."""
        state = "started" if row.ended is None else "finished"
        self.write("stage", state=state, **stage_fields(row, self._clock()))

    def command(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Write a command's event."""
        rest = {key: value for key, value in event.items() if key != "event"}
        self.write("exec", stage=row.span.label if row else "", **rest)

    def why(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Write why a command runs."""
        rest = {key: value for key, value in event.items() if key != "event"}
        self.write("why", stage=row.span.label if row else "", **rest)

    def line(self, row: StageRow | None, text: str) -> None:
        """Write a line of output."""
        span = row.span if row else None
        self.write("log", stage=span.label if span else "", span=span.id if span else "", text=text)

    def notice(self, text: str) -> None:
        """Write a line of the engine."""
        self.write("notice", text=text)

    def tick(self, running: list[StageRow], silent: float) -> None:
        """Write nothing: programs have clocks."""

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def write(self, event: str, **fields: Any) -> None:
        """Write one line."""
        self._stream.write(json.dumps({"v": 1, "event": event, **fields}) + "\n")
        self._stream.flush()
