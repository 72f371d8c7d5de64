"""What is known of a run: its stages, and the commands that ran for each.

Theory of operation. Two streams of events meet here. The stages of this process open and close
spans (`_spans.Recorder`); the engine's process tells of commands and their output (`listen`), each
with the id of the span that asked for it. `Run` keeps the numbers and passes every event on to a
`Display`. It is called from the event loop and from reader threads: one lock orders them, so a
display is never called twice at once and lines never mix.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipelines._spans import Span
from pipelines.report.why import summary

__all__ = ["Display", "Run", "StageRow"]

LONGEST_LINE = 64 * 1024
"""Characters after which output is shown in pieces, newline or not."""


@dataclass(slots=True)
class StageRow:
    """A stage of the run.

    `ran` and `cached` count commands, those of stages inside included; `why` is the first reason
    among them. `commands` are its own, by their ids, with the fields of their events; `notes` what
    the stage said of itself. Not every engine tells of its commands: then `told` is false, and that
    nothing ran is not known.
    """

    span: Span
    ended: float | None = None
    error: BaseException | None = None
    ran: int = 0
    cached: int = 0
    last: str = ""
    why: str = ""
    commands: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    told: bool = True

    @property
    def result(self) -> str:
        """`running`, `failed`, `cancelled`, `cached`, or `ran N execs` (of tests, the share).

        `done` where the engine does not tell of its commands.
        """
        if self.ended is None:
            return "running"
        if self.error is not None:
            return "failed" if isinstance(self.error, Exception) else "cancelled"
        if not self.ran and self.told:
            return "cached"
        ran = f"ran {self.ran} exec{'s' if self.ran > 1 else ''}" if self.told else "done"
        return f"{ran}, {share}" if (share := self.share) else ran

    @property
    def outcome(self) -> str:
        """Say how it ended in a word: the first of `result`."""
        return self.result.split()[0].rstrip(",")

    @property
    def share(self) -> str:
        """Say for how many packages the toolchain knew the tests' results; "" without tests."""
        told = [note["tests"] for note in self.notes if note.get("tests", {}).get("packages")]
        if not told:
            return ""
        cached, all_of_them = (sum(each[name] for each in told) for name in ("cached", "packages"))
        return f"{cached}/{all_of_them} packages from cache"

    def seconds(self, now: float) -> float:
        """How long it took, or has taken."""
        return (now if self.ended is None else self.ended) - self.span.started


class Display(Protocol):
    """Shows a run while it runs. Calls come one at a time."""

    def stage(self, row: StageRow) -> None:
        """Show that a stage started or ended."""

    def command(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Show that a command started, finished or was cached."""

    def line(self, row: StageRow | None, text: str) -> None:
        """Show one whole line of a command's output."""

    def why(self, row: StageRow | None, event: dict[str, Any]) -> None:
        """Show why a command runs."""

    def notice(self, text: str) -> None:
        """Show a line of the engine itself."""

    def tick(self, running: list[StageRow], silent: float) -> None:
        """Show that time passes; `silent` is seconds since anything was shown."""

    def close(self) -> None:
        """Show nothing more."""


class Run:
    """Collects the events of a run. It is the recorder of its stages and the engine's listener."""

    def __init__(self, display: Display, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[str, StageRow] = {}
        self.caches: list[dict[str, Any]] = []
        self.told = True
        self._partial: dict[tuple[str, str, str], str] = {}
        self._shown = clock()

    def rows(self) -> list[StageRow]:
        """Give the stages in the order in which they started."""
        with self._lock:
            return list(self._rows.values())

    def opened(self, span: Span) -> None:
        """Note that a stage started."""
        with self._lock:
            row = self._rows[span.id] = StageRow(span, told=self.told)
            self._show(self._display.stage, row)

    def closed(self, span: Span, error: BaseException | None) -> None:
        """Note that a stage ended."""
        with self._lock:
            row = self._rows[span.id]
            row.ended, row.error = self._clock(), error
            self._show(self._display.stage, row)

    def noted(self, span: str, note: dict[str, Any]) -> None:
        """Keep what a stage says of itself."""
        with self._lock:
            if row := self._rows.get(span):
                row.notes.append(note)

    def listen(self, event: dict[str, Any]) -> None:
        """Take an event of the engine; unknown ones are of a newer engine and mean nothing here."""
        with self._lock:
            match event.get("event"):
                case "exec":
                    self._exec(event)
                case "why":
                    self._why(event)
                case "log":
                    self._log(event)
                case "warning" | "notice" | "stderr":
                    self._show(self._display.notice, str(event.get("text", "")).rstrip())
                case "cache":
                    self.caches.append(event)
                case "image":
                    text = f"image {event.get('reference')}: {event.get('state')}"
                    self._show(self._display.notice, text)

    def tick(self) -> None:
        """Tell the display that time passes."""
        with self._lock:
            running = [row for row in self._rows.values() if row.ended is None]
            self._display.tick(running, self._clock() - self._shown)

    def close(self) -> None:
        """Show output that ended without a newline, then nothing more."""
        with self._lock:
            for key in list(self._partial):
                self._flush(key)
            self._display.close()

    def _exec(self, event: dict[str, Any]) -> None:
        row = self._row(event)
        state = event.get("state")
        self._keep(row, event)
        for each in self._with_parents(row):
            each.ran += state == "started"
            each.cached += state == "cached"
        if state == "finished":
            for stream in ("stdout", "stderr"):
                self._flush((str(event.get("span")), str(event.get("id")), stream))
        self._show(self._display.command, row, event)

    def _why(self, event: dict[str, Any]) -> None:
        row = self._row(event)
        self._keep(row, event)
        text = summary(event.get("reasons", ()), int(event.get("count", 0)))
        for each in self._with_parents(row):
            each.why = each.why or text
        self._show(self._display.why, row, event)

    def _keep(self, row: StageRow | None, event: dict[str, Any]) -> None:
        if row is not None:
            known = row.commands.setdefault(str(event.get("id")), {})
            known |= {k: v for k, v in event.items() if k not in {"event", "span", "id"}}

    def _log(self, event: dict[str, Any]) -> None:
        key = (str(event.get("span")), str(event.get("id")), str(event.get("stream")))
        *lines, rest = (self._partial.pop(key, "") + str(event.get("text", ""))).split("\n")
        if len(rest) > LONGEST_LINE:  # or joining it piece by piece would take for ever
            lines, rest = [*lines, rest], ""
        if rest:
            self._partial[key] = rest
        for line in lines:
            self._line(self._row(event), line)

    def _flush(self, key: tuple[str, str, str]) -> None:
        if rest := self._partial.pop(key, ""):
            self._line(self._rows.get(key[0]), rest)

    def _line(self, row: StageRow | None, text: str) -> None:
        text = text.rstrip("\r")
        for each in self._with_parents(row):
            each.last = text
        self._show(self._display.line, row, text)

    def _row(self, event: dict[str, Any]) -> StageRow | None:
        return self._rows.get(str(event.get("span", "")))

    def _with_parents(self, row: StageRow | None) -> list[StageRow]:
        found = []
        while row is not None:
            found.append(row)
            row = self._rows.get(row.span.parent)
        return found

    def _show(self, how: Callable[..., None], *what: Any) -> None:
        self._shown = self._clock()
        how(*what)
