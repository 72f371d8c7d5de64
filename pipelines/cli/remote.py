"""The backend of travelling caches, opened as this run may use it."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines._errors import CacheIntegrityError, InfrastructureError, UsageError
from pipelines._session import caches
from pipelines.caches.errors import CacheError, Damaged, TooNew, Untrusted
from pipelines.caches.generation import Generation, load
from pipelines.caches.heads import Found, Heads
from pipelines.caches.merging import merge
from pipelines.caches.metered import Metered
from pipelines.caches.settings import Settings, SettingsError, resolve
from pipelines.caches.signals import Rules, event, rules

__all__ = ["Remote", "newest", "opened"]


@dataclass(frozen=True, slots=True)
class Remote:
    """A backend with what a run may read and write in it."""

    settings: Settings
    rules: Rules
    transport: Metered
    heads: Heads
    store: Path


@asynccontextmanager
async def opened(url: str = "") -> AsyncIterator[Remote]:
    """Open what is configured, or `url`; errors of the backend become errors of the command.

    Raises:
        UsageError: nothing is configured, or wrongly.
        CacheIntegrityError: what is there is damaged, not signed, or of a newer format.
        InfrastructureError: the backend does not answer.
    """
    environ = {**os.environ, **({"PIPELINES_CACHE_URL": url} if url else {})}
    try:
        remote = _made(caches(Path.cwd(), environ), environ)
    except (SettingsError, ValueError) as exc:
        raise UsageError(str(exc)) from exc
    try:
        yield remote
    except (Damaged, TooNew, Untrusted) as exc:
        raise CacheIntegrityError(f"{remote.transport.url}: {exc}") from exc
    except CacheError as exc:
        kind = type(exc).__name__.lower()
        raise InfrastructureError(f"{remote.transport.url}: {kind}: {exc}") from exc
    finally:
        await remote.transport.aclose()
        for text in remote.heads.refused:
            sys.stderr.write(f"warning: {text}\n")


async def newest(remote: Remote, key: str) -> tuple[Found, Generation] | None:
    """Give what stands under a key; what several savers left beside each other is united."""
    if (found := await remote.heads.find(key)) is None:
        return None
    generation = await load(remote.transport, found.generation)
    for other in found.others:
        generation = merge(generation, await load(remote.transport, other))
    return found, generation


def _made(settings: Settings | None, environ: dict[str, str]) -> Remote:
    from pipelines.caches.open import open_transport
    from pipelines.caches.trust import Signer, Verifier
    from pipelines.engine.store.layout import Layout

    if settings is None:
        raise UsageError(
            "no travelling cache is configured here: put url into [tool.pipelines.cache], set "
            "PIPELINES_CACHE_URL, or name one with --url"
        )
    may = rules(environ, event(environ), settings.scope)
    signer = None
    if settings.sign:
        try:
            signer = Signer(resolve(settings.sign, environ, settings.directory))
        except SettingsError:  # only protected runs are given the key
            signer = None
    public = [resolve(each, environ, settings.directory) for each in settings.verify]
    store = Layout.open().root
    transport = Metered(open_transport(settings.url, environ))
    verifier = Verifier(*public) if public else None
    memory = store / "heads"
    heads = Heads(transport, may.reads, may.writes, signer=signer, verifier=verifier, memory=memory)
    return Remote(settings, may, transport, heads, store)
