"""What the engine tells about itself: its name, its one client, what its store holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.accounts import Held, Wanted
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import fields_of

__all__ = ["CACHE", "ENGINE", "ENTRY", "SET", "engine"]

_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine that answers."""

    TYPE: ClassVar[str] = "Engine"

    name: str = "embedded"


@dataclass(frozen=True, slots=True)
class EngineCache:
    """The store, with its limits in bytes."""

    TYPE: ClassVar[str] = "EngineCache"

    max_used_space: int
    reserved_space: int
    min_free_space: int
    target_space: int


@dataclass(frozen=True, slots=True)
class EngineCacheEntry:
    """One holding of the store; there is no call to tell of, records are known by digests."""

    TYPE: ClassVar[str] = "EngineCacheEntry"

    record_type: str
    record_types: tuple[str, ...]
    description: str
    disk_space_bytes: int
    created_time_unix_nano: int
    most_recent_use_time_unix_nano: int
    actively_used: bool
    dagql_call: str = ""


@dataclass(frozen=True, slots=True)
class EngineCacheEntrySet:
    """What the store held when it was asked."""

    TYPE: ClassVar[str] = "EngineCacheEntrySet"

    entries: tuple[EngineCacheEntry, ...]
    entry_count: int
    disk_space_bytes: int


def engine(_session: Session, _root: object) -> Engine:
    """Give this engine."""
    return Engine()


def clients(session: Session, _it: Engine) -> tuple[str, ...]:
    """Name the clients of this session: there is one."""
    return (session.client,)


async def local_cache(session: Session, _it: Engine) -> EngineCache:
    """Give the store, with the limits that it is kept to."""
    limits = await session.engine.store.limits()
    # A sweep goes on until no more than the maximum is held: that is the target, too.
    return EngineCache(limits.maximum, limits.reserved, limits.min_free, limits.maximum)


async def entry_set(session: Session, _it: EngineCache, *, key: str) -> EngineCacheEntrySet:  # noqa: ARG001
    """List what the store holds now; a key that tells listings apart is not needed here."""
    entries = tuple(map(_entry, await session.engine.store.holdings()))
    return EngineCacheEntrySet(entries, len(entries), sum(e.disk_space_bytes for e in entries))


def _entry(held: Held) -> EngineCacheEntry:
    made, used = int(held.made * _NANO), int(held.used * _NANO)
    return EngineCacheEntry(
        held.kind, (held.kind,), held.description, held.size, made, used, held.busy
    )


async def prune(
    session: Session,
    _it: EngineCache,
    *,
    use_default_policy: bool,
    max_used_space: str,
    reserved_space: str,
    min_free_space: str,
    target_space: str,
) -> None:
    """Delete what is over the limits; without the default policy, all that is not in use."""
    sizes = (max_used_space, reserved_space, min_free_space, target_space)
    await session.engine.store.prune(Wanted(not use_default_policy, *sizes))


ENGINE: dict[str, Callable[..., Any]] = {
    **fields_of(("name", "name")),
    "clients": clients,
    "localCache": local_cache,
}
CACHE: dict[str, Callable[..., Any]] = {
    **fields_of(
        ("maxUsedSpace", "max_used_space"),
        ("minFreeSpace", "min_free_space"),
        ("reservedSpace", "reserved_space"),
        ("targetSpace", "target_space"),
    ),
    "entrySet": entry_set,
    "prune": prune,
}
SET = fields_of(
    ("diskSpaceBytes", "disk_space_bytes"),
    ("entries", "entries"),
    ("entryCount", "entry_count"),
)
ENTRY = fields_of(
    ("activelyUsed", "actively_used"),
    ("createdTimeUnixNano", "created_time_unix_nano"),
    ("dagqlCall", "dagql_call"),
    ("description", "description"),
    ("diskSpaceBytes", "disk_space_bytes"),
    ("mostRecentUseTimeUnixNano", "most_recent_use_time_unix_nano"),
    ("recordType", "record_type"),
    ("recordTypes", "record_types"),
)
