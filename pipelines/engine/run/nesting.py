"""Sessions inside commands: a command that asks for it reaches this session as a client.

It is told by variables, as the SDKs look for them, and gets a token of its own, which is good
for as long as the command runs. What such a client may not ask for, because it would reach the
machine beyond its container, is the API's business (`api.nested`).
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from pipelines.engine.errors import SandboxError
from pipelines.engine.op import Exec
from pipelines.engine.run.lent import Secrets

__all__ = ["Answer", "Doors", "Nesting"]

Answer = Callable[..., Awaitable[bytes]]

_PORT, _TOKEN = "DAGGER_SESSION_PORT", "DAGGER_SESSION_TOKEN"


class Doors(Protocol):
    """Ways in to the session's server."""

    @property
    def port(self) -> int:
        """The port on loopback."""
        ...

    def open(self, answer: Answer) -> str:
        """Let whoever has the token in; give it."""
        ...

    def close(self, token: str) -> None:
        """Let nobody with the token in any more."""
        ...


class Nesting:
    """Opens a door for every command that asks for one."""

    def __init__(self, doors: Doors | None) -> None:
        self._doors = doors
        self._client: Callable[[], Answer] | None = None

    def answering(self, client: Callable[[], Answer]) -> None:
        """Say what makes a client of its own; the engine itself needs the runners first."""
        self._client = client

    @contextmanager
    def open(self, op: Exec, secrets: Secrets) -> Iterator[tuple[Exec, Secrets]]:
        """Give the command and its secrets with what it needs to reach the session.

        Raises:
            SandboxError: this session has no server that a command could reach.
        """
        if not op.nested:
            yield op, secrets
            return
        if self._doors is None or self._client is None:
            raise SandboxError("running a command with a session of its own: there is no server")
        token = self._doors.open(self._client())
        try:
            told = replace(op, volatile=(*op.volatile, (_PORT, str(self._doors.port))))
            yield told, replace(secrets, env=(*secrets.env, (_TOKEN, token.encode())))
        finally:
            self._doors.close(token)
