"""Progress on a terminal: one line per running stage, redrawn; what ended scrolls up and stays."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live as Region
from rich.markup import escape
from rich.text import Text

from pipelines.report.run import StageRow
from pipelines.report.words import seconds

__all__ = ["Live"]

WELL = "[green]✓[/]"
GLYPHS = {"cached": WELL, "ran": WELL, "done": WELL, "failed": "[red]✗[/]"}


class Live:
    """Draws the running stages with their last line of output."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._region = Region(
            Text(), console=console, transient=True, auto_refresh=False, redirect_stdout=False
        )
        self._region.start()

    def stage(self, row: StageRow) -> None:
        """Print a stage that ended."""
        if row.ended is not None:
            glyph = GLYPHS.get(row.outcome, "[yellow]·[/]")
            took = seconds(row.seconds(self._clock()))
            self._console.print(
                f"{glyph} {escape(row.span.label)} [dim]{row.result}, {took}[/]", highlight=False
            )

    def command(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Keep the command as the stage's last line."""
        if row and event.get("state") == "started":
            row.last = f"$ {event.get('name', '')}"

    def why(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Draw nothing: the reason stands in the stage's row when it ended."""

    def line(self, row: StageRow | None, text: str) -> None:
        """Draw nothing now: `Run` keeps the last line, and a tick draws it."""

    def notice(self, text: str) -> None:
        """Print a line of the engine."""
        self._console.print(Text(text, style="yellow"))

    def tick(self, running: list[StageRow], silent: float) -> None:  # noqa: ARG002 - drawn anyway
        """Draw the running stages."""
        now, lines = self._clock(), []
        for row in running[: max(self._console.height - 2, 1)]:
            line = Text(f"{'◐◓◑◒'[int(now * 4) % 4]} ", style="cyan")
            line.append(row.span.label, style="bold")
            line.append(f" {seconds(row.seconds(now))} ", style="dim")
            line.append(Text.from_ansi(row.last).plain)
            line.truncate(self._console.width - 1, overflow="ellipsis")
            lines.append(line)
        self._region.update(Text("\n").join(lines), refresh=True)

    def close(self) -> None:
        """Take the region away."""
        self._region.update(Text(), refresh=True)
        self._region.stop()
