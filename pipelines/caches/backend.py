"""The way to one backend, for one run, whichever engine it is on.

It opens the transport and the heads, gives the newest generation of a key, restores a tree of it,
and saves what is new. Everything is bounded by the budget; every error of the backend comes out
as `Unusable`, with words for the one warning.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from pipelines.caches import generation, policy, restoring, saving
from pipelines.caches.budget import Budget, Spent
from pipelines.caches.errors import CacheError, Damaged, Missing, OverBudget, TooNew, Untrusted
from pipelines.caches.generation import Generation
from pipelines.caches.habits import Habit
from pipelines.caches.heads import Heads
from pipelines.caches.limits import DEFAULT
from pipelines.caches.merging import merge, unite
from pipelines.caches.metered import Meter, Metered
from pipelines.caches.open import open_transport
from pipelines.caches.planning import plan, ranges
from pipelines.caches.policy import Offer
from pipelines.caches.restoring import Restored
from pipelines.caches.saving import Saved
from pipelines.caches.scan import Scan
from pipelines.caches.seen import Seen
from pipelines.caches.settings import Settings, SettingsError, resolve
from pipelines.caches.signals import Rules
from pipelines.caches.transport import Transport
from pipelines.caches.trust import Signer, Verifier

__all__ = ["AT_ONCE", "Backend", "Change", "Kind", "Unusable"]

Kind = Literal["download", "build", "results"]
T = TypeVar("T")

AT_ONCE = 2  # restores or saves: they take the machine, as soon as the link is fast


class Unusable(Exception):
    """The travelling cache gave nothing, or took nothing; says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be saved under a key, upon `base`."""

    key: str
    kind: Kind
    base: Generation | None
    trees: Mapping[str, Path]
    records: Mapping[str, bytes] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    drop: Sequence[str] = ()
    seen: Mapping[str, Seen] = field(default_factory=dict)
    exact: bool = False
    scans: Mapping[str, Scan] = field(default_factory=dict)
    habit: Habit | None = None


@dataclass(slots=True)
class Backend:
    """Heads and generations of one backend; `writes` says whether this run may publish any."""

    transport: Transport
    heads: Heads
    writes: bool
    budget: Budget
    turns: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))

    @classmethod
    async def open(
        cls,
        settings: Settings,
        rules: Rules,
        environ: Mapping[str, str],
        memory: Path,
        meter: Meter,
    ) -> "Backend":
        """Open what the settings name.

        Raises:
            Unusable: it can not be opened.
        """
        url = settings.url if "://" in settings.url else str(settings.directory / settings.url)

        async def connect() -> "Backend":
            transport = Metered(open_transport(url, environ), meter)
            signer, verifier = _keys(settings, environ)
            heads = Heads(
                transport, rules.reads, rules.writes, signer=signer, verifier=verifier,
                memory=memory,
            )  # fmt: skip
            signs = signer is not None or not (verifier or settings.sign)
            writes = rules.writes is not None and signs
            return cls(transport, heads, writes, Budget(settings.budget))

        return await _told(f"opening {url}", connect)

    async def newest(self, key: str) -> Generation | None:
        """Read the newest generation of a key, in the first scope that has one.

        Raises:
            Unusable: the backend does not answer, or what it has can not be used.
        """

        async def read() -> Generation | None:
            found = await self.heads.find(key)
            if found is None and self.heads.refused:
                raise Untrusted(self.heads.refused[-1])
            if found is None:
                return None
            newest = await generation.load(self.transport, found.generation)
            # Where a backend can not compare, savers at once stand beside each other.
            for other in found.others:
                with suppress(Missing, Damaged, TooNew):
                    newest = merge(newest, await generation.load(self.transport, other))
            return newest

        return await self._bounded(f"reading the head of {key}", read)

    async def known(self, digest: str) -> Generation | None:
        """Read a generation by its digest; None if it is gone."""

        async def read() -> Generation | None:
            try:
                return await generation.load(self.transport, digest)
            except Missing:
                return None

        return await self._bounded("reading what a volume is based on", read)

    async def restore(
        self,
        found: Generation,
        name: str,
        into: Path,
        *,
        exact: bool = False,
        aging: bool = False,
        progress: Callable[[int, int], None] | None = None,
        worth: float | None = None,
    ) -> Restored:
        """Restore one tree into an empty directory; may take as long as it is worth.

        Raises:
            Unusable: it does not come whole.
            OverBudget: `progress` said so.
        """
        return await self._bounded(
            f"restoring {name or 'a volume'}",
            lambda: restoring.restore(
                self.transport, found, name, into, exact=exact, aging=aging, progress=progress
            ),
            worth,
        )

    async def offer(self, found: Generation, name: str = "", *, exact: bool = False) -> Offer:
        """Tell what restoring a tree would cost, and what it is worth."""

        def look() -> Offer:
            wanted = ranges(found.index, plan(found, name, DEFAULT, exact))
            tree, size = found.trees[name], sum(one.size for one in wanted)
            known = policy.worth(found.meta)
            return Offer(size, tree.size, tree.entries, len(wanted), known)

        return await self._bounded("looking at a volume", lambda: to_thread.run_sync(look))

    async def save(self, change: Change) -> tuple[Generation, Saved]:
        """Save what is new and publish it; what others published meanwhile is merged in.

        Raises:
            Unusable: it was not taken.
        """

        async def upon(base: Generation | None) -> tuple[Generation, Saved]:
            return await saving.save(
                self.transport,
                base,
                change.trees,
                kind=change.kind,
                records=change.records,
                meta=change.meta,
                drop=change.drop,
                seen=change.seen,
                scans=change.scans,
                habit=change.habit,
                exact=change.exact,
                level=policy.level(self._link),
            )

        async def write() -> tuple[Generation, Saved]:
            made, saved = await upon(change.base)

            async def merged(theirs: str) -> Generation:
                nonlocal made
                made = await unite(self.transport, made, theirs)
                return made

            return await self.heads.publish(change.key, made, merged), saved

        return await self._bounded(f"saving {change.key}", write)

    @property
    def _link(self) -> policy.Link:
        """What this run has measured of the link."""
        over = self.transport
        return over.meter.link if isinstance(over, Metered) else policy.Link()

    async def close(self) -> None:
        """Close connections."""
        with anyio.move_on_after(1.0):
            await self.transport.aclose()

    async def _bounded(
        self, what: str, work: Callable[[], Awaitable[T]], worth: float | None = None
    ) -> T:
        try:
            return await _told(what, lambda: self.budget.bounded(what, work, worth or 0.0))
        except Spent as exc:
            raise Unusable(str(exc)) from exc


async def _told(what: str, work: Callable[[], Awaitable[T]]) -> T:
    """Turn what may go wrong with a backend, or with the files here, into words."""
    try:
        return await work()
    except OverBudget:
        raise
    except (CacheError, SettingsError, OSError, ValueError, ImportError) as exc:
        raise Unusable(f"{what}: {str(exc) or type(exc).__name__}") from exc


def _keys(settings: Settings, environ: Mapping[str, str]) -> tuple[Signer | None, Verifier | None]:
    """Read the keys; only protected runs are given the one that signs."""
    signer: Signer | None = None
    with suppress(SettingsError):
        if settings.sign:
            signer = Signer(resolve(settings.sign, environ, settings.directory))
    public = [resolve(each, environ, settings.directory) for each in settings.verify]
    return signer, Verifier(*public) if public else None
