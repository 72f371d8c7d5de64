"""Collecting what no head needs: mark and sweep, beside savers that are at work.

Theory of operation
    Marked are the generations that are kept (those of the heads), and the packs that they
    need. Swept is what is not marked and older than the grace period. A saver that is at work
    meanwhile relies on two things:

    1. What it wrote is young: its packs and its manifest are not swept, though no head names
       them yet.
    2. What it builds on was the head when it began, less than a grace period ago, and was
       replaced later still. So whatever a generation within the grace period has replaced is
       marked as well: parents are followed until one is older than the grace period (the
       parent of that one was replaced longer ago than any saver lives).

    Hence the grace period must be longer than any run; a day is. Whoever restored before that
    and still saves refers to packs that may be gone, which the next restore finds missing: a
    miss, after which all is saved anew.

    Ages are by the backend's clock alone: an object that the collector writes tells what time
    it is there. What cannot be read is not a reason to sweep what it may name: without all
    marks there is no sweep.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pipelines.caches.errors import CacheError, Missing
from pipelines.caches.generation import Generation, load, name_of
from pipelines.caches.transport import Item, Transport

__all__ = ["DAY", "Collected", "collect"]

DAY = 86_400.0

_PREFIXES = ("packs/", "manifests/")


@dataclass(frozen=True, slots=True)
class Collected:
    """What was swept and what stays; `missing` packs are named by generations but not there."""

    removed: tuple[str, ...]
    freed: int
    kept: int
    size: int
    missing: tuple[str, ...]


@dataclass(slots=True)
class _Marks:
    names: set[str] = field(default_factory=set)
    packs: set[str] = field(default_factory=set)


async def collect(
    transport: Transport,
    keep: Iterable[str],
    grace_seconds: float = DAY,
    *,
    dry: bool = False,
) -> Collected:
    """Remove packs and manifests that the generations in `keep` do not need.

    `keep` are the digests that heads name, of every scope and key; heads that are being
    removed count for one collection more.

    Raises:
        CacheError: a generation that is kept can not be read; then nothing was removed.
    """
    items = {item.name: item for prefix in _PREFIXES async for item in transport.list(prefix)}
    now = await _now(transport)
    young = {name for name, item in items.items() if item.modified > now - grace_seconds}
    marks = _Marks()
    await _mark(transport, [*keep], items, young, marks)
    needed = marks.names | marks.packs
    swept = [item for name, item in sorted(items.items()) if name not in needed | young]
    if not dry:
        # Manifests first: one that is there has its packs, as long as it is not damaged.
        for item in sorted(swept, key=lambda one: one.name.startswith("packs/")):
            await transport.delete(item.name)
    gone = {item.name for item in swept}
    stay = [item for name, item in items.items() if name not in gone]
    return Collected(
        tuple(sorted(gone)),
        sum(item.size for item in swept),
        len(stay),
        sum(item.size for item in stay),
        tuple(sorted(marks.packs - set(items))),
    )


async def _mark(
    transport: Transport,
    keep: Collection[str],
    items: dict[str, Item],
    young: set[str],
    marks: _Marks,
) -> None:
    """Mark generations with their packs, and what they replaced within the grace period."""
    wanted = set(keep)
    below = [*keep]
    while below:
        digest = below.pop()
        name = name_of(digest)
        if name in marks.names:
            continue
        generation = await _loaded(transport, digest, digest in wanted)
        if generation is None:
            continue
        marks.names.add(name)
        marks.packs.update(pack.name for pack in generation.packs)
        # It took its parents' place when it was written: if that was lately, they may be in use.
        if name in young or name not in items:
            below += generation.parents


async def _loaded(transport: Transport, digest: str, needed: bool) -> Generation | None:
    """Load a generation; a parent that is gone was swept before and holds nothing."""
    try:
        return await load(transport, digest)
    except Missing:
        return None
    except CacheError:
        if needed:
            raise
        return None


async def _now(transport: Transport) -> float:
    """Ask the backend what time it is there."""
    name = f"clocks/{os.urandom(8).hex()}"
    await transport.write(name, name.encode())
    try:
        return max([item.modified async for item in transport.list(name)], default=0.0)
    finally:
        await transport.delete(name)
