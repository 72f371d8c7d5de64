"""`pipelines cache save|restore`: a directory, or a cache volume of the store, by hand.

What is saved under a key is what the directory holds now; only what the cache lacks is sent. Who
saves what it restored before need not read what did not change: the store remembers its stamps.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread

from pipelines._errors import SourceError, UsageError
from pipelines.caches.errors import CacheError, Damaged
from pipelines.caches.generation import Generation
from pipelines.caches.ledger import Did, Entry, Ledger
from pipelines.caches.merging import unite
from pipelines.caches.restoring import Restored, restore
from pipelines.caches.saving import Saved, save
from pipelines.caches.seen import Seen
from pipelines.cli.cache import size
from pipelines.cli.remote import Remote, newest, opened
from pipelines.engine.op import CacheVolume
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.volumes import Volumes, identity
from pipelines.report.words import seconds

__all__ = ["main"]


def main(options: argparse.Namespace) -> int:
    """Save or restore; the exit code. A miss is 0, unless it is asked to be 1."""
    if bool(options.path) == bool(options.volume):
        raise UsageError(f"cache {options.action} takes a PATH or --volume NAME, one of the two")
    options.key = options.key or options.volume
    if not options.key:
        raise UsageError(
            f"cache {options.action} PATH needs --key, the name that it is filed under"
        )
    act = _save if options.action == "save" else _restore
    return anyio.run(_run, act, options)


async def _run(
    act: Callable[[Remote, argparse.Namespace], Awaitable[int]], options: argparse.Namespace
) -> int:
    async with opened(options.url) as remote:
        return await act(remote, options)


async def _save(remote: Remote, options: argparse.Namespace) -> int:
    path = _source(options)
    if remote.rules.writes is None:
        _say(options, {"saved": False, "why": remote.rules.why}, _may_not(remote))
        return 0
    key = _key(options)
    base = await _newest(remote, key)
    stamps = _recall(remote.store, path, base)
    if options.kind == "download" and not stamps:
        base = None  # others' downloads, which this directory does not have: united, not replaced

    async def upon(theirs: Generation | None, seen: Mapping[str, Seen]) -> tuple[Generation, Saved]:
        return await save(remote.transport, theirs, {"": path}, kind=options.kind, seen=seen)

    made, saved = await upon(base, stamps)

    async def merged(digest: str) -> Generation:
        nonlocal made
        made = await unite(remote.transport, made, digest)
        return made

    made = await remote.heads.publish(key, made, merged)
    if saved.seen and made.digest == saved.seen[""].base:
        _remember(remote.store, path, saved.seen[""])
    _note(remote, options, "saved", saved)
    words = f"saved {saved.files} files as {options.key} in {remote.rules.writes}: sent "
    fields = {"saved": True, "scope": remote.rules.writes, "generation": made.digest}
    fields |= {"files": saved.files, "bytes": saved.bytes, "seconds": saved.seconds}
    _say(options, fields, words + f"{size(saved.bytes)} in {seconds(saved.seconds)}")
    for name, why in saved.skipped:
        sys.stderr.write(f"warning: {name} was left out: {why}\n")
    return 0


async def _restore(remote: Remote, options: argparse.Namespace) -> int:
    key = _key(options)
    stands = await newest(remote, key)
    if stands is None:
        scopes = ", ".join(remote.rules.reads)
        _say(options, {"restored": False}, f"nothing is filed under {options.key} in {scopes}")
        return 1 if options.must else 0
    found, generation = stands
    path, done = await _into(remote, generation, options)
    _remember(remote.store, path, done.seen)
    _note(remote, options, "restored", done)
    fields = {"restored": True, "scope": found.scope, "generation": found.generation}
    fields |= {"files": done.files, "bytes": done.bytes, "seconds": done.seconds}
    words = f"restored {done.files} files, {size(done.size)}, of {options.key} in {found.scope}: "
    _say(options, fields, words + f"{size(done.bytes)} in {seconds(done.seconds)}")
    return 0


async def _into(
    remote: Remote, generation: Generation, options: argparse.Namespace
) -> tuple[Path, Restored]:
    """Restore into the directory or the volume, which must be empty or not there."""
    if options.path:
        path = _empty(options.path)
        return path, await restore(remote.transport, generation, "", path)
    results: list[Restored] = []

    def fill(draft: Path) -> None:
        results.append(anyio.from_thread.run(restore, remote.transport, generation, "", draft))

    volumes, volume = Volumes(Layout(remote.store), owners=os.geteuid() == 0), _volume(options)
    async with volumes.open(volume, fill) as path:
        if not results:
            raise SourceError(f"the store has a volume {options.volume!r} already; prune it first")
        return path, results[0]


def _empty(text: str) -> Path:
    path = Path(text).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise SourceError(f"{path} is there and not empty; restore into a new directory")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _source(options: argparse.Namespace) -> Path:
    if options.path:
        path = Path(options.path).absolute()
        if not path.is_dir():
            raise SourceError(f"{path} is not a directory")
        return path
    path = Layout.open().volumes / identity(_volume(options)) / "data"
    if not path.is_dir():
        raise SourceError(
            f"the store has no volume {options.volume!r}; `pipelines cache ls` lists them"
        )
    return path


def _volume(options: argparse.Namespace) -> CacheVolume:
    return CacheVolume(options.volume)


def _key(options: argparse.Namespace) -> str:
    return f"hand/{options.key}"


async def _newest(remote: Remote, key: str) -> Generation | None:
    """Give what a save can build on; what can not be read is nothing to build on."""
    with suppress(CacheError):
        if (stands := await newest(remote, key)) is not None:
            return stands[1]
    return None


def _stamps(store: Path, path: Path) -> Path:
    return store / "byhand" / hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def _recall(store: Path, path: Path, base: Generation | None) -> dict[str, Seen]:
    with suppress(OSError, Damaged):
        seen = Seen.load(_stamps(store, path).read_bytes())
        if base is not None and seen.base == base.digest:
            return {"": seen}
    return {}


def _remember(store: Path, path: Path, seen: Seen) -> None:
    file = _stamps(store, path)
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_bytes(seen.dump())
        draft.replace(file)


def _note(remote: Remote, options: argparse.Namespace, did: Did, done: Saved | Restored) -> None:
    Ledger(remote.store).add(
        Entry(
            f"by hand {os.getpid()}",
            remote.transport.url,
            f"by hand {options.key}",
            did,
            seconds=done.seconds,
            size=done.bytes,
            requests=done.requests,
            link=remote.transport.meter.link,
        )
    )


def _may_not(remote: Remote) -> str:
    return f"nothing was saved: this run may write nothing ({remote.rules.why})"


def _say(options: argparse.Namespace, fields: Mapping[str, Any], words: str) -> None:
    sys.stdout.write((json.dumps(fields) if options.json else words) + "\n")
