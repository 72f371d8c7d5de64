"""`pipelines cache gc` and `pipelines cache verify --remote`: look after a backend.

A head goes when it has expired, was not published for `keep`, or belongs to a pull request and was
not published for a week. What no head needs goes after a day of grace, so that savers at work
lose nothing.
"""

import argparse
import json
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import anyio

from pipelines.caches.collecting import DAY, collect
from pipelines.caches.errors import Damaged, Missing, TooNew
from pipelines.caches.generation import load
from pipelines.caches.heads import Standing, standing
from pipelines.caches.trust import Claim
from pipelines.caches.verifying import verify
from pipelines.cli.cache import size
from pipelines.cli.remote import Remote, opened

__all__ = ["Plan", "main", "plan"]

PULL_DAYS = 7
DAMAGED = 7


@dataclass(frozen=True, slots=True)
class Plan:
    """Heads that go, and the generations whose packs must stay."""

    remove: tuple[str, ...]
    keep: frozenset[str]


def main(options: argparse.Namespace) -> int:
    """Collect or verify; the exit code is 7 if something is damaged."""
    return anyio.run(_collect if options.action == "gc" else _verify, options)


def plan(heads: Collection[Standing], now: float, keep: float) -> Plan:
    """Decide which heads go. Their generations stay for one collection more."""
    remove = tuple(head.name for head in heads if _old(head, now, keep))
    return Plan(remove, frozenset(c.generation for head in heads for c in head.claims))


def _old(head: Standing, now: float, keep: float) -> bool:
    if not head.claims:
        return head.modified < now - keep
    newest = max(head.claims, key=lambda claim: claim.made)
    pull = newest.scope.startswith("pr/")
    life = min(keep, PULL_DAYS * DAY) if pull else keep
    return newest.expires < now or newest.made < now - life


async def _collect(options: argparse.Namespace) -> int:
    async with opened(options.url) as remote:
        heads = [head async for head in standing(remote.transport)]
        found = plan(heads, time.time(), remote.settings.keep)
        swept = await collect(remote.transport, found.keep, dry=options.dry_run)
        for name in () if options.dry_run else found.remove:
            await remote.transport.delete(name)
    if options.json:
        fields = {"heads": list(found.remove), "removed": list(swept.removed)}
        fields |= {"missing": list(swept.missing)}
        numbers = {"freed_bytes": swept.freed, "held_bytes": swept.size, "kept": swept.kept}
        sys.stdout.write(json.dumps({"v": 1, **fields, **numbers}) + "\n")
        return 0
    would = "would go" if options.dry_run else "went"
    sys.stdout.write(
        f"{len(found.remove)} heads and {len(swept.removed)} objects of {size(swept.freed)} "
        f"{would}; {swept.kept} objects of {size(swept.size)} stay\n"
    )
    for name in swept.missing:
        sys.stderr.write(f"warning: {name} is needed and not there; the next save heals it\n")
    return 0


async def _verify(options: argparse.Namespace) -> int:
    """Read all that heads of readable scopes name, and compare it with its digests."""
    async with opened(options.url) as remote:
        faults, count = await _faults(remote)
    if options.json:
        sys.stdout.write(json.dumps({"v": 1, "generations": count, "faults": faults}) + "\n")
    else:
        for name, why in faults.items():
            sys.stdout.write(f"{name}: {why}\n")
        text = f"{len(faults)} problems" if faults else "everything is what its name says"
        sys.stdout.write(f"{count} generations read: {text}\n")
    return DAMAGED if faults else 0


async def _faults(remote: Remote) -> tuple[dict[str, str], int]:
    faults: dict[str, str] = {}
    digests: dict[str, str] = {}
    async for head in standing(remote.transport):
        if not head.claims:
            faults[head.name] = "the head makes no sense"
        digests |= {c.generation: head.name for c in _readable(head, remote.rules.reads)}
    for digest, name in digests.items():
        try:
            generation = await load(remote.transport, digest)
        except (Missing, Damaged, TooNew) as exc:
            faults[name] = str(exc)
            continue
        faults |= (await verify(remote.transport, generation)).faults
    return faults, len(digests)


def _readable(head: Standing, reads: Sequence[str]) -> list[Claim]:
    return [claim for claim in head.claims if claim.scope in reads]
