"""From a project's settings to caches that travel with a connection to a Dagger engine.

Imports nothing heavy until a cache is configured. The local store gives what has to outlive a run:
the highest numbers of heads that were seen, the ledger, and room for what is under way.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from pipelines._errors import UsageError
from pipelines._processes import alive
from pipelines._travel.standing import Standing

if TYPE_CHECKING:
    from gql import GraphQLRequest
    from graphql import DocumentNode

    from pipelines._travel.noted import Noted
    from pipelines._travel.travelling import Travelling
    from pipelines.caches.backend import Backend
    from pipelines.caches.settings import Settings
    from pipelines.caches.signals import Rules

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

    What a run that fails has downloaded and built is saved as well, but not of one that a signal
    ends.

    Raises:
        UsageError: what the environment says of scopes makes no sense.
    """
    rules = _rules(settings, environ)
    room = await to_thread.run_sync(_room, store)
    noted, passed, ended = _noted(store, settings, listen), session.execute, False

    async def opening() -> "Backend":
        from pipelines.caches.backend import Backend

        return await Backend.open(settings, rules, environ, store / "heads", noted.meter)

    standing = Standing(store, settings.url, rules.writes or "")
    travel = _travel(settings, opening, passed, room, noted, standing)
    session.execute = partial(_execute, travel, passed)
    try:
        yield
        ended = True
    except Exception:
        ended = True
        raise
    finally:
        session.execute = passed
        with anyio.CancelScope(shield=True):
            if ended:
                await travel.finish(rules.why)
            await travel.close()
            await to_thread.run_sync(noted.close)
            await to_thread.run_sync(lambda: shutil.rmtree(room, ignore_errors=True))


def _rules(settings: "Settings", environ: Mapping[str, str]) -> "Rules":
    from pipelines.caches import signals
    from pipelines.caches.settings import SettingsError

    try:
        return signals.rules(environ, signals.event(environ), settings.scope)
    except SettingsError as exc:
        raise UsageError(str(exc)) from exc


def _noted(store: Path, settings: "Settings", listen: Listen | None) -> "Noted":
    from pipelines._travel.noted import Noted

    return Noted(store, settings.url, listen or _said)


def _travel(  # noqa: PLR0917 - the parts of a run
    settings: "Settings",
    opening: Callable[[], Awaitable["Backend"]],
    passed: Callable[["GraphQLRequest"], Awaitable[Any]],
    room: Path,
    noted: "Noted",
    standing: Standing,
) -> "Travelling":
    from gql import GraphQLRequest

    from pipelines._travel.travelling import Travelling

    def send(document: "DocumentNode") -> Awaitable[Any]:
        return passed(GraphQLRequest(document))

    return Travelling(settings, opening, send, room, noted, standing)


async def _execute(
    travel: "Travelling",
    passed: Callable[["GraphQLRequest"], Awaitable[Any]],
    query: "GraphQLRequest",
) -> Any:
    """Answer a request in the session's place; those with variables name no volume of the SDK."""
    if query.variable_values:
        return await passed(query)
    return await travel.execute(query.document)


def _room(store: Path) -> Path:
    """Make a directory for what is under way, and take away those of runs that were killed."""
    home = store / "travelling"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in home.iterdir():
        pid = old.name.partition("-")[0]
        if not (pid.isdigit() and alive(int(pid))):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=home)).resolve()


def _said(event: dict[str, Any]) -> None:
    """Say warnings where nobody listens to events."""
    if event["event"] == "warning":
        sys.stderr.write(f"warning: {event['text']}\n")
