"""Which stage is running, said in a way that the engine and the report both understand.

Theory of operation. A stage opens a span: a fresh 8-byte id, put into the current OpenTelemetry
context. The SDK sends that context as `traceparent` with every query, so the engine's events carry
the id, and whoever listens to them knows the stage. Listening is done by a `Recorder`, which
`recorded` puts into the context for the time of a run. Without one, nothing is recorded.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Recorder", "Span", "in_cell", "listener", "note", "recorded", "span"]


@dataclass(frozen=True, slots=True)
class Span:
    """One call of a stage. `label` is what a report calls it; `id` is 16 hexadecimal digits."""

    id: str
    stage: str
    cell: str = ""
    parent: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def label(self) -> str:
        """`build[linux/arm64]`, or the stage's name where the cell adds nothing."""
        return self.stage if self.cell in ("", self.stage) else f"{self.stage}[{self.cell}]"


class Recorder(Protocol):
    """Who wants to know of stages. Its methods return at once and never raise."""

    def opened(self, span: Span) -> None:
        """Note that a stage starts."""

    def closed(self, span: Span, error: BaseException | None) -> None:
        """Note that a stage ends; `error` says how if not well."""

    def noted(self, span: str, note: dict[str, Any]) -> None:
        """Note what a stage says of itself; `span` is its id."""


_recorder: ContextVar[Recorder | None] = ContextVar("pipelines_recorder", default=None)
_cell: ContextVar[str] = ContextVar("pipelines_cell", default="")
_current: ContextVar[str] = ContextVar("pipelines_span", default="")


def listener() -> Callable[[dict[str, Any]], None] | None:
    """Give the function by which whoever records the run takes an engine's events, if it does."""
    return getattr(_recorder.get(), "listen", None)


@contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """Tell `recorder` of every stage that runs inside."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def note(**fields: Any) -> None:
    """Say something of the stage that is running, for reports and `pipelines explain`."""
    if (recorder := _recorder.get()) and (span := _current.get()):
        recorder.noted(span, fields)


@contextmanager
def in_cell(name: str) -> Iterator[None]:
    """Say that the next stage called inside is cell `name` of a matrix."""
    token = _cell.set(name)
    try:
        yield
    finally:
        _cell.reset(token)


@contextmanager
def span(stage: str, cell: str = "") -> Iterator[Span]:
    """Open a span of `stage`; the cell is the one set by `in_cell`, else `cell`."""
    telemetry, span_id = _telemetry_span(stage)
    opened = Span(span_id, stage, _cell.get() or cell, _current.get())
    recorder = _recorder.get()
    cell_token, current_token = _cell.set(""), _current.set(span_id)
    error: BaseException | None = None
    if recorder:
        recorder.opened(opened)
    try:
        with telemetry:
            yield opened
    except BaseException as exc:
        error = exc
        raise
    finally:
        _cell.reset(cell_token)
        _current.reset(current_token)
        if recorder:
            recorder.closed(opened, error)


def _telemetry_span(stage: str) -> tuple[Any, str]:
    """Start a real span where telemetry is set up, else one that only carries an id."""
    from opentelemetry import trace

    parent = trace.get_current_span().get_span_context()
    started = trace.get_tracer("pipelines").start_span(stage)
    if not started.is_recording():
        started = trace.NonRecordingSpan(
            trace.SpanContext(
                parent.trace_id if parent.is_valid else int.from_bytes(os.urandom(16)) or 1,
                int.from_bytes(os.urandom(8)) or 1,
                is_remote=False,
                trace_flags=parent.trace_flags,
                trace_state=parent.trace_state,
            )
        )
    span_id = trace.format_span_id(started.get_span_context().span_id)
    return trace.use_span(started, end_on_exit=True), span_id
