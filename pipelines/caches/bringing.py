"""Bringing a volume: found, weighed, restored as long as that wins; the same on every engine."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.caches.backend import Backend
from pipelines.caches.errors import OverBudget
from pipelines.caches.generation import Generation
from pipelines.caches.ledger import Did
from pipelines.caches.policy import Link, Offer, decide
from pipelines.caches.restoring import Restored
from pipelines.caches.settings import Settings
from pipelines.caches.watch import Watch, watched

__all__ = ["Brought", "bring"]


@dataclass(frozen=True, slots=True)
class Brought:
    """What came: `got` if it was restored. `found` is the newest generation there is."""

    did: Did
    found: Generation | None = None
    got: Restored | None = None
    seconds: float = 0.0
    why: str = ""


async def bring(
    backend: Backend,
    head: str,
    into: Path,
    settings: Settings,
    link: Callable[[], Link],
    *,
    exact: bool = False,
    aging: bool = False,
    effort: float = 1.0,
) -> Brought:
    """Restore the newest generation of a volume into an empty directory, if that is worth it.

    `link` tells what is known of the way to the backend. With `exact`, owners come back too.
    `effort` says how much longer than a restore it takes until the volume is there.

    Raises:
        Unusable: the backend does not answer, or what it has does not come whole.
    """
    began = time.monotonic()
    found = await backend.newest(head)
    if found is None:
        return Brought("missed", seconds=time.monotonic() - began)
    try:
        async with backend.turns:
            offer = await backend.offer(found, exact=exact)
            content, files = int(offer.content * effort), int(offer.files * effort)
            heavier = replace(offer, content=content, files=files)
            decision = decide(settings.mode, heavier, link(), settings.budget)
            if not decision.restore:
                return Brought("skipped", found, why=decision.why)
            got = await _watched(backend, found, into, settings, offer, exact=exact, aging=aging)
    except OverBudget as exc:
        return Brought("gave up", found, seconds=time.monotonic() - began, why=str(exc))
    return Brought("restored", found, got, time.monotonic() - began)


async def _watched(
    backend: Backend,
    found: Generation,
    into: Path,
    settings: Settings,
    offer: Offer,
    *,
    exact: bool,
    aging: bool,
) -> Restored:
    """Restore, as long as that is projected to win; if the settings say so, in any case."""

    async def restored(watch: Callable[[int, int], None] | None) -> Restored:
        return await backend.restore(
            found, "", into, exact=exact, aging=aging, progress=watch, worth=offer.worth
        )

    if settings.mode == "always":
        return await restored(None)
    worth = settings.budget if offer.worth is None else offer.worth
    return await watched(Watch(worth, time.monotonic, offer.size), restored)
