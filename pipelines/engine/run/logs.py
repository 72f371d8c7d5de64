"""What a service prints: passed on up to a limit, and its end kept for messages."""

from collections.abc import Callable

from pipelines.engine.run.streams import Scrubber

__all__ = ["Log"]

KEPT = 16 * 1024
SHOWN = 1024 * 1024
LINES = 20


class Log:
    """The output of one service, scrubbed; what it costs does not depend on how much comes."""

    def __init__(self, hidden: tuple[bytes, ...], show: Callable[[str, bytes], None]) -> None:
        self._scrubbers = {name: Scrubber(hidden) for name in ("stdout", "stderr")}
        self._show = show
        self._shown = 0
        self._tail = b""

    def on_stdout(self, chunk: bytes) -> None:
        """Take a chunk of standard output."""
        self._take("stdout", self._scrubbers["stdout"].feed(chunk))

    def on_stderr(self, chunk: bytes) -> None:
        """Take a chunk of standard error."""
        self._take("stderr", self._scrubbers["stderr"].feed(chunk))

    def close(self) -> None:
        """Flush what the scrubbers hold."""
        for name, scrubber in self._scrubbers.items():
            self._take(name, scrubber.close())

    def last(self) -> str:
        """Give the last lines, for a message."""
        lines = self._tail.decode("utf-8", "replace").rstrip().split("\n")[-LINES:]
        return "\n".join(lines)

    def _take(self, stream: str, data: bytes) -> None:
        if not data:
            return
        self._tail = (self._tail + data)[-KEPT:] if len(data) < KEPT else data[-KEPT:]
        if self._shown >= SHOWN:
            return
        self._shown += len(data)
        self._show(stream, data)
        if self._shown >= SHOWN:
            note = f"\n[a service printed more than {SHOWN} bytes; the rest is not shown]\n"
            self._show(stream, note.encode())
