"""`pipelines cache inspect`: what a backend holds: heads, generations, bytes."""

import argparse
import json
import sys
import time
from typing import Any

import anyio

from pipelines.caches.errors import CacheError
from pipelines.caches.generation import load
from pipelines.caches.heads import standing
from pipelines.cli.cache import size
from pipelines.cli.remote import Remote, opened

__all__ = ["main"]


def main(options: argparse.Namespace) -> int:
    """Print what is there, one line a head, then the sum."""
    return anyio.run(_inspect, options)


async def _inspect(options: argparse.Namespace) -> int:
    async with opened(options.url) as remote:
        heads = [row async for row in _heads(remote, options.key)]
        held = await _held(remote)
    if options.json:
        sys.stdout.write(json.dumps({"v": 1, "heads": heads, **held}, indent=1) + "\n")
        return 0
    for head in heads:
        sys.stdout.write(_line(head) + "\n")
    sys.stdout.write(
        f"{len(heads)} heads, {held['packs']} packs of {size(held['pack_bytes'])}, "
        f"{held['manifests']} manifests of {size(held['manifest_bytes'])} at {held['url']}\n"
    )
    return 0


async def _heads(remote: Remote, key: str) -> Any:
    async for stands in standing(remote.transport):
        if not stands.claims:
            if not key:
                yield {"name": stands.name, "why": "makes no sense"}
            continue
        claim = stands.claims[0]
        if key and not claim.key.endswith(key):
            continue
        row: dict[str, Any] = {"scope": claim.scope, "key": claim.key, "number": claim.number}
        row |= {"made": claim.made, "expires": claim.expires, "generation": claim.generation}
        try:
            row |= await _described(remote, claim.generation)
        except CacheError as exc:
            row["why"] = f"{type(exc).__name__.lower()}: {exc}"
        yield row


async def _described(remote: Remote, digest: str) -> dict[str, Any]:
    found = await load(remote.transport, digest)
    trees = found.trees.values()
    return {
        "kind": found.kind,
        "trees": len(trees),
        "entries": sum(tree.entries for tree in trees),
        "bytes": sum(tree.size for tree in trees),
        "packs": len(found.packs),
        "records": len(found.records) if found.kind == "results" else 0,
        "meta": dict(found.meta),
    }


async def _held(remote: Remote) -> dict[str, Any]:
    held: dict[str, Any] = {"url": remote.transport.url}
    for prefix in ("packs", "manifests"):
        sizes = [item.size async for item in remote.transport.list(f"{prefix}/")]
        held |= {prefix: len(sizes), f"{prefix[:-1]}_bytes": sum(sizes)}
    return held


def _line(head: dict[str, Any]) -> str:
    if "key" not in head:
        return f"{head['name']}: {head['why']}"
    text = f"{head['scope']}  {head['key']}  #{head['number']}  {_age(head['made'])} old"
    if "why" in head:
        return f"{text}  {head['why']}"
    text += f"  {head['kind']}: {head['entries']} entries, {size(head['bytes'])}"
    if head["records"]:
        text += f", {head['records']} records"
    return f"{text}, in {head['packs']} packs"


def _age(made: float) -> str:
    passed = max(0.0, time.time() - made)
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if passed >= length:
            return f"{passed / length:.0f} {unit}"
    return f"{passed:.0f} s"
