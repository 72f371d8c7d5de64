"""Progress as plain lines, for logs: every line says whose it is, whole lines only."""

import time
from collections.abc import Callable
from typing import Any, TextIO

from pipelines.report.run import StageRow
from pipelines.report.why import phrase
from pipelines.report.words import seconds

__all__ = ["Plain"]

HEARTBEAT_SECONDS = 30.0
REASONS = 3  # shown beside a command


class Plain:
    """Writes `stage │ text` lines; says every 30 s of silence what is still running.

    A CI system that sees no output for minutes kills the run: hence the heartbeat.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._beat = clock()

    def stage(self, row: StageRow) -> None:
        """Write that a stage ended; its start says nothing that its lines do not."""
        if row.ended is not None:
            self._write(row, f"{row.result}, {seconds(row.seconds(self._clock()))}")

    def command(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Write what starts, and what ends badly."""
        name = event.get("name", "")
        if event.get("state") == "started":
            self._write(row, f"$ {name}")
        elif event.get("state") == "finished" and event.get("exit"):
            self._write(row, f"exit code {event['exit']}: {name}")

    def why(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Write why a command runs, one reason a line."""
        for reason in event.get("reasons", ())[:REASONS]:
            self._write(row, f"because {phrase(reason)}")
        if (more := int(event.get("count", 0)) - REASONS) > 0:
            self._write(row, f"and {more} more; `pipelines explain` shows them")

    def line(self, row: StageRow | None, text: str) -> None:
        """Write a line of output."""
        self._write(row, text)

    def notice(self, text: str) -> None:
        """Write a line of the engine."""
        self._write(None, text)

    def tick(self, running: list[StageRow], silent: float) -> None:
        """Write who is still running, when nothing was written for long."""
        now = self._clock()
        if min(silent, now - self._beat) >= HEARTBEAT_SECONDS and running:
            self._beat = now
            names = ", ".join(f"{row.span.label} {seconds(row.seconds(now))}" for row in running)
            self._write(None, f"still running: {names}")

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def _write(self, row: StageRow | None, text: str) -> None:
        label = row.span.label if row else "engine"
        self._stream.write(f"{label} │ {text}\n")
        self._stream.flush()
