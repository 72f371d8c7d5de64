"""From a project's settings to caches that travel with a connection to a Dagger engine.

Imports nothing heavy until a cache is configured. The local store gives what has to outlive a run:
the highest numbers of heads that were seen, the ledger, and room for what is under way.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from pipelines._errors import UsageError

if TYPE_CHECKING:
    from gql import GraphQLRequest

    from pipelines.caches.backend import Backend
    from pipelines.caches.settings import Settings

__all__ = ["Listen", "travelling"]

Listen = Callable[[dict[str, Any]], None]
"""Takes an event, such as the embedded engine's session tells."""


@asynccontextmanager
async def travelling(
    session: Any,
    settings: "Settings",
    store: Path,
    environ: Mapping[str, str],
    listen: Listen | None = None,
) -> AsyncIterator[None]:
    """Let cache volumes travel that are named inside of the block, by requests of `session`.

    Raises:
        UsageError: what the environment says of scopes makes no sense.
    """
    from gql import GraphQLRequest

    from pipelines._travel.noted import Noted
    from pipelines._travel.travelling import Travelling
    from pipelines.caches import signals
    from pipelines.caches.settings import SettingsError

    try:
        rules = signals.rules(environ, signals.event(environ), settings.scope)
    except SettingsError as exc:
        raise UsageError(str(exc)) from exc
    noted = Noted(store, settings.url, listen or _said)

    async def opening() -> "Backend":
        from pipelines.caches.backend import Backend

        return await Backend.open(settings, rules, environ, store / "heads", noted.meter)

    room = await to_thread.run_sync(_room, store)
    passed = session.execute
    travel = Travelling(
        settings, opening, lambda document: passed(GraphQLRequest(document)), room, noted
    )

    async def execute(query: "GraphQLRequest") -> Any:
        if getattr(query, "variable_values", None):
            return await passed(query)
        return await travel.execute(query.document)

    session.execute, ended = execute, False
    try:
        yield
        ended = True
    except Exception:
        ended = True  # what a run that fails has downloaded and built is worth as much
        raise
    finally:
        session.execute = passed
        with anyio.CancelScope(shield=True):
            if ended:
                await travel.finish()
            await travel.close()
            await to_thread.run_sync(noted.close)
            await to_thread.run_sync(lambda: shutil.rmtree(room, ignore_errors=True))


def _room(store: Path) -> Path:
    """Make a directory for what is under way, and take away those of runs that were killed."""
    home = store / "travelling"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in home.iterdir():
        pid = old.name.partition("-")[0]
        if not (pid.isdigit() and _runs(int(pid))):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=home)).resolve()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as exc:
        return isinstance(exc, PermissionError)
    return True


def _said(event: dict[str, Any]) -> None:
    """Say warnings where nobody listens to events."""
    if event["event"] == "warning":
        sys.stderr.write(f"warning: {event['text']}\n")
