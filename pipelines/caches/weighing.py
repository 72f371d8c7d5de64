"""A restore that is weighed first, watched meanwhile, and given up if it loses.

Sizes are those of the manifest, which is read already: nothing more is asked to decide. A restore
that is skipped or given up leaves the directory empty; errors of the backend are the caller's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.caches.errors import OverBudget
from pipelines.caches.generation import Generation
from pipelines.caches.ledger import Did
from pipelines.caches.metered import Metered
from pipelines.caches.policy import PARALLEL, Link, Offer, decide, worth
from pipelines.caches.restoring import Progress, Restored, restore
from pipelines.caches.settings import Mode
from pipelines.caches.watch import Watch, watched

__all__ = ["Weighed", "offer", "weighed"]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What came of it: `done` if it was restored; seconds that it took, and why."""

    did: Did
    seconds: float
    why: str
    done: Restored | None = None


def offer(generation: Generation, name: str = "") -> Offer:
    """Say what a restore of a tree would fetch, and what it is worth.

    Packs are shared by the trees of a generation: a tree's part is taken to be that of its bytes.
    """
    packs = generation.packs
    tree = generation.trees[name]
    whole = sum(each.size for each in generation.trees.values())
    part = tree.size / whole if whole else 1.0
    size = int(sum(pack.size for pack in packs) * part)
    requests = min(len(packs), PARALLEL) or 1
    return Offer(size, tree.size, tree.entries, requests, worth(generation.meta))


async def weighed(
    transport: Metered,
    generation: Generation,
    into: Path,
    *,
    name: str = "",
    mode: Mode = "auto",
    budget: float = 30.0,
    known: Link | None = None,
    exact: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Weighed:
    """Restore a tree into an empty directory, if that wins.

    `known` is what the ledger knows of the link; what this run has measured counts more.

    Raises:
        CacheError: the backend does not answer, or what it gives is damaged.
    """
    began = clock()
    offered = offer(generation, name)
    link = (known or Link()).after(transport.meter.link)
    decision = decide(mode, offered, link, budget)
    if not decision.restore:
        return Weighed("skipped", clock() - began, decision.why)

    async def act(progress: Progress | None) -> Restored:
        return await restore(transport, generation, name, into, exact=exact, progress=progress)

    if mode != "auto":
        return Weighed("restored", clock() - began, decision.why, await act(None))
    watch = Watch(budget if offered.worth is None else offered.worth, clock, offered.size)
    try:
        done = await watched(watch, act)
    except OverBudget as exc:
        return Weighed("gave up", clock() - began, str(exc))
    return Weighed("restored", clock() - began, decision.why, done)
