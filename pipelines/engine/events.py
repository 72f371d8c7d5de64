"""What the engine tells about its work while it works: one JSON object a line.

    {"event": "exec", "state": "started", "span": …, "id": …, "name": …}
    {"event": "exec", "state": "finished", "span": …, "id": …, "name": …, "seconds": …, "exit": …}
    {"event": "exec", "state": "cached", "span": …, "id": …, "name": …}
    {"event": "why", "span": …, "id": …, "name": …, "count": …,
     "reasons": [{"kind": …, "what": …, "before": …, "after": …}]}
    {"event": "log", "span": …, "id": …, "stream": "stdout"|"stderr", "text": …}
    {"event": "cache", "state": …, "cache": "results"|"volume …", …}    see `travel`
    {"event": "pin", "kind": …, "name": …, "value": …}     what a moving name stood for
    {"event": "service", "state": "starting"|"ready"|"stopped"|"failed", "id": …, "name": …}
    {"event": "warning"|"notice", "text": …}

`span` is the span id of the W3C `traceparent` that the query came with, so that whoever
started the query (a stage) finds its own work again; "" without one. Telling costs nothing
when nobody listens, and a listener that went away changes nothing.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pipelines.engine.op import Exec
from pipelines.engine.scrub import Hidden

__all__ = ["Events", "name_of", "traced"]

LONGEST_NAME = 120
SHOWN = 50  # reasons in one event

_span: ContextVar[str] = ContextVar("span", default="")


@contextmanager
def traced(traceparent: str) -> Iterator[None]:
    """Attribute what happens inside to the span of a `traceparent` header."""
    parts = traceparent.split("-")
    token = _span.set(parts[2] if len(parts) == 4 else "")  # noqa: PLR2004 - W3C: 4 fields
    try:
        yield
    finally:
        _span.reset(token)


def name_of(op: Exec, hidden: Hidden) -> str:
    """Spell a command for people, in one line of bounded length, without secrets."""
    # Hidden before it is cut: half a secret would not be known for one.
    text = hidden.text(" ".join(op.args)).replace("\n", " ")
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


class Events:
    """Writes events to a file descriptor, or nowhere."""

    def __init__(self, descriptor: int | None = None, hidden: Hidden | None = None) -> None:
        self._descriptor = descriptor
        self.hidden = Hidden() if hidden is None else hidden

    def exec(self, op: Exec, state: str, **more: Any) -> None:
        """Tell that an exec started, finished or was answered by a record."""
        if self._descriptor is not None:
            name = name_of(op, self.hidden)
            self._tell("exec", state=state, id=op.digest.hex[:12], name=name, **more)

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return self._descriptor is not None

    def why(self, op: Exec, reasons: Sequence[Mapping[str, str]]) -> None:
        """Tell why an exec runs; the first reasons, and how many there are."""
        shown = self.hidden.within([dict(reason) for reason in reasons[:SHOWN]])
        name = name_of(op, self.hidden)
        self._tell("why", id=op.digest.hex[:12], name=name, reasons=shown, count=len(reasons))

    def log(self, op: Exec, stream: str, data: bytes) -> None:
        """Pass a command's output on."""
        if self._descriptor is not None:
            text = data.decode("utf-8", "replace")
            self._tell("log", id=op.digest.hex[:12], stream=stream, text=text)

    def service(self, op: Exec, state: str, hostname: str) -> None:
        """Tell how a service fares."""
        if self._descriptor is not None:
            name = f"{hostname} ({name_of(op, self.hidden)})"
            self._tell("service", state=state, id=op.digest.hex[:12], name=name)

    def cache(self, state: str, cache: str, **more: Any) -> None:
        """Tell what came of a cache that travels: `results`, or `volume <key>`."""
        self._tell("cache", state=state, cache=cache, **more)

    def warning(self, text: str) -> None:
        """Say something once that a person should know."""
        text = self.hidden.text(text)
        if self._descriptor is None:
            os.write(2, f"warning: {text}\n".encode())
        else:
            self._tell("warning", text=text)

    def pin(self, row: tuple[str, str, str]) -> None:
        """Tell what a moving name was pinned to."""
        kind, name, value = row
        self._tell("pin", kind=kind, name=name, value=value)

    def notice(self, text: str) -> None:
        """Say something that a person wants to know."""
        text = self.hidden.text(text)
        if self._descriptor is None:
            os.write(2, f"{text}\n".encode())
        else:
            self._tell("notice", text=text)

    def _tell(self, event: str, **fields: Any) -> None:
        if self._descriptor is None:
            return
        line = json.dumps({"event": event, "span": _span.get(), **fields}) + "\n"
        data = line.encode()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._descriptor = None
