"""Telling bwrap's own failures from the command's.

bwrap reports `exit-code` on its status descriptor only when the command was executed. Without
it, what stands on stderr is bwrap's own message, which always begins with `bwrap: `. So the
first bytes of stderr are held back for as long as they could be such a message.
"""

import os
import re
from collections.abc import Callable

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.base import Exit, Spec
from pipelines.engine.sandbox.executable import foreign, missing_interpreter

__all__ = ["Preamble", "explain"]

_PREFIX = b"bwrap: "
_LIMIT = 8192
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_SHELLS_COMPLAINTS = (1, 2, 126, 127)


class Preamble:
    """Hands stderr on, except for a beginning that may be bwrap's own message."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._held = b""
        self._passing = False

    def write(self, chunk: bytes) -> None:
        """Take a piece of stderr."""
        if self._passing:
            self._sink(chunk)
            return
        self._held += chunk
        start = self._held[: len(_PREFIX)]
        if not _PREFIX.startswith(start) or len(self._held) > _LIMIT:
            self.release()

    def release(self) -> None:
        """Hand on what was held back; it is the command's."""
        held, self._held, self._passing = self._held, b"", True
        if held:
            self._sink(held)

    def message(self) -> str:
        """Take what was held back as bwrap's message, without the prefix."""
        held, self._held = self._held, b""
        return held.removeprefix(_PREFIX).decode("utf-8", "replace").strip()

    def say(self, line: str) -> None:
        """Write a line of our own."""
        self._sink(line.encode("utf-8", "surrogateescape") + b"\n")


def explain(spec: Spec, executed: int | None, returned: int, preamble: Preamble) -> Exit:
    """Decide what a run's end means.

    Args:
        spec: what was run.
        executed: the exit code that bwrap reported; None if the command was not executed.
        returned: bwrap's own return code, negative for a signal.
        preamble: stderr, which may hold bwrap's message.

    Raises:
        SandboxError: bwrap could not set up the sandbox.
    """
    if executed is not None:
        preamble.release()
        return _mistaken(spec, executed, preamble)
    message = preamble.message()
    if message.startswith("execvp "):
        return _not_executed(spec, message, preamble)
    if message:
        raise SandboxError(f"starting {spec.args[0]!r} in the sandbox: {message}{_advice(message)}")
    return Exit(128 - returned if returned < 0 else returned)


def _advice(message: str) -> str:
    """Say what to do about those of bwrap's messages that have one known cause."""
    if "mount proc" in message:
        return (
            "; the kernel allows a new /proc only where the old one is not covered: in a "
            "container, start that with --privileged or --security-opt systempaths=unconfined, "
            "or use the Dagger engine: --engine dagger"
        )
    if "chdir" in message:
        return "; the working directory is not in the container, or its user may not enter it"
    if "number of arguments" in message:
        return "; pass the arguments in a file, or through stdin and xargs"
    if "namespace" in message:
        return "; see user.max_pid_namespaces and its neighbours in sysctl, or --engine dagger"
    return ""


def _mistaken(spec: Spec, code: int, preamble: Preamble) -> Exit:
    """Correct what a C library's execvp hides: a file that it can not run goes to /bin/sh."""
    if code in _SHELLS_COMPLAINTS and _foreign(spec):
        preamble.say(_foreign_line(spec))
        return Exit(_NOT_EXECUTABLE)
    return Exit(code)


def _not_executed(spec: Spec, message: str, preamble: Preamble) -> Exit:
    name = spec.args[0]
    reason = re.sub(r"^execvp .*: ", "", message, flags=re.DOTALL)
    if _foreign(spec):
        preamble.say(_foreign_line(spec))
        return Exit(_NOT_EXECUTABLE)
    if reason == "No such file or directory":
        interpreter = missing_interpreter(spec)
        line = f'exec: "{name}": executable file not found in $PATH'
        if interpreter:
            line = f'exec: "{name}": it needs {interpreter}, which is not in the container'
        preamble.say(line)
        return Exit(_NOT_FOUND)
    hint = ""
    if reason == "Exec format error":
        hint = " (neither a program nor a script with a #! line)"
    preamble.say(f'exec: "{name}": {reason.lower()}{hint}')
    return Exit(_NOT_EXECUTABLE)


def _foreign(spec: Spec) -> str:
    """Name the architecture that the command is built for; "" if it is run here."""
    name = foreign(spec, os.uname().machine)
    if not name:
        return ""
    from pipelines.engine.sandbox.emulation import MACHINES, registered

    wanted = spec.platform.split("/")[1:2]
    if name in MACHINES and ([name] == wanted or registered(MACHINES[name])):
        return ""
    return name


def _foreign_line(spec: Spec) -> str:
    name = _foreign(spec)
    return (
        f'exec: "{spec.args[0]}": the file is built for {name}, this machine is '
        f'{os.uname().machine}; start from container(platform="linux/{name}") to emulate it'
    )
