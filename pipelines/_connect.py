"""Connect the SDK to an engine; `_choose` says to which.

The SDK is told not to repeat queries: a query that publishes or exports must not happen twice, and
what may be repeated is a stage's decision (`@stage(retries=…)`).
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread

from pipelines._choose import choose
from pipelines._errors import EngineUnavailable, UsageError
from pipelines._memo import Notes, remembering
from pipelines._session import Address, Session, caches
from pipelines._spans import listener
from pipelines._trust import Trust, trusting

if TYPE_CHECKING:
    import dagger

__all__ = ["Engine", "connect"]

Engine = Literal["auto", "embedded", "dagger"]

_INPUTS = 500  # input sets of Go's targets: 5 KB each


@asynccontextmanager
async def connect(
    engine: Engine = "auto",
    *,
    jobs: int | None = None,
    workdir: str | os.PathLike[str] | None = None,
    session: Session | None = None,
    cache: Trust = "use",
) -> AsyncIterator["dagger.Client"]:
    """Connect `dagger.dag` to an engine for as long as the block runs.

        async with connect():
            await release(dag.host().directory("."))

    Args:
        engine: Who answers, as the module says; a session given by the environment comes first.
        jobs: How many commands the embedded engine runs at a time; by default the cores.
        workdir: What relative host paths are relative to; by default the current directory.
        cache: Whether what is cached counts: "use", or "verify" (make everything anew and compare
            what comes out with what is recorded), or "off" (make everything anew). The embedded
            engine's; for releases.
        session: An embedded session that the caller has started already; it is closed with the
            block.

    Raises:
        EngineUnavailable: the engine did not start or did not answer.
    """
    who = "embedded" if session else choose(engine, os.environ, sys.platform)
    if who == "embedded":
        session = session or Session.start(jobs=jobs, workdir=workdir, cache=cache)
        opened = _embedded(session)
    elif cache != "use":
        raise UsageError(
            f"connect(cache={cache!r}) is the embedded engine's, and this run would go to: {who}"
        )
    else:
        opened = _existing() if who == "session" else _provisioned(workdir)
    async with opened as client, _travelling(who, workdir):
        with remembering(_notes(session)), trusting(session.cache if session else None):
            yield client


def _notes(session: Session | None) -> Notes | None:
    """Find where what was worked out of contents is noted: beside the embedded engine's store.

    With another engine there is nothing to note, since what it answers is its version's matter; nor
    is there where nothing that is cached counts.
    """
    if session is None or session.cache != "use":
        return None
    from pipelines.engine.store.layout import default_root
    from pipelines.engine.store.notes import Notes as Documents

    return Documents(default_root(os.environ) / "inputs", _INPUTS)


@asynccontextmanager
async def _embedded(session: Session) -> AsyncIterator["dagger.Client"]:
    try:
        from pipelines._dagger import dagger  # while the session gets ready

        address = await anyio.to_thread.run_sync(session.address, abandon_on_cancel=True)
        async with _client(address):
            yield dagger.dag
    except Exception as exc:
        if ended := session.epitaph():
            exc.add_note(ended)
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(session.close)


@asynccontextmanager
async def _existing() -> AsyncIterator["dagger.Client"]:
    try:
        address = Address(
            int(os.environ["DAGGER_SESSION_PORT"]), os.environ["DAGGER_SESSION_TOKEN"]
        )
    except (KeyError, ValueError) as exc:
        raise EngineUnavailable(
            "DAGGER_SESSION_PORT is set, so DAGGER_SESSION_TOKEN must be set too, and the port "
            f"must be a number: {exc}"
        ) from exc
    from pipelines._dagger import dagger

    async with _client(address):
        yield dagger.dag


@asynccontextmanager
async def _provisioned(workdir: str | os.PathLike[str] | None) -> AsyncIterator["dagger.Client"]:
    from pipelines._dagger import dagger

    config = dagger.Config(retry=None, log_output=sys.stderr, workdir=workdir or "")
    connecting = True
    try:
        async with dagger.connection(config):
            connecting = False
            yield dagger.dag
    except (dagger.ProvisionError, dagger.ClientConnectionError) as exc:
        if not connecting:
            raise
        raise EngineUnavailable(f"the Dagger engine did not answer: {exc}") from exc


@asynccontextmanager
async def _travelling(who: str, workdir: str | os.PathLike[str] | None) -> AsyncIterator[None]:
    """Let caches travel on a Dagger engine; the embedded one sees to that itself."""
    settings = caches(Path(workdir or "."), os.environ) if who == "dagger" else None
    if settings is None:
        yield
        return
    from dagger.client._session import SharedConnection

    from pipelines._travel.opening import travelling
    from pipelines.engine.store.layout import default_root

    session, store = SharedConnection().session, default_root(os.environ)
    async with travelling(session, settings, store, os.environ, listener()):
        yield


@asynccontextmanager
async def _client(address: Address) -> AsyncIterator[None]:
    """Connect the shared client, without the SDK's provisioning: no console, no version query."""
    from pipelines._dagger import dagger

    if any(name == "TRACEPARENT" or name.startswith("OTEL_") for name in os.environ):
        dagger.telemetry.initialize()
    connection = _shared_connection(address)
    try:
        await connection.connect()
    except (dagger.ClientError, OSError) as exc:
        await connection.close()
        raise EngineUnavailable(f"the engine at port {address.port} did not answer: {exc}") from exc
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


def _shared_connection(address: Address) -> Any:
    """Give the connection behind `dagger.dag`, set to `address` and to no retries.

    Its public form, `dagger.connect()`, reads the address from the environment, once a process.
    """
    from dagger.client._config import ConnectConfig
    from dagger.client._session import ConnectParams, SharedConnection

    params = ConnectParams(port=address.port, session_token=address.token)
    return SharedConnection().with_params(params).with_config(ConnectConfig(retry=None))
