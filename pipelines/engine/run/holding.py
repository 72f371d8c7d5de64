"""What a command holds while it runs: its cache volumes, and the values of its secrets."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from anyio import to_thread

from pipelines.engine.errors import SandboxError
from pipelines.engine.events import Events
from pipelines.engine.op import CacheMount, CacheVolume, Exec, HostService, SecretMount
from pipelines.engine.result import Snapshot
from pipelines.engine.run.lent import Secrets
from pipelines.engine.tree import Tree

__all__ = ["Owner", "Volumes", "check_shared", "held", "secrets_of"]

Owner = Callable[[str, Tree | Snapshot], str]
"""Spells an owner in numbers, as the users of a root filesystem have them."""


class Volumes(Protocol):
    """Where cache volumes live."""

    def open(self, volume: CacheVolume) -> AbstractAsyncContextManager[Path]:
        """Hold a volume for the length of a `with` block."""
        ...


@asynccontextmanager
async def held(
    volumes: Volumes, op: Exec, root: Tree | Snapshot, owner: Owner
) -> AsyncIterator[Mapping[str, Path]]:
    """Hold every cache volume of an exec; one order for all, so that no two wait in a ring."""
    async with AsyncExitStack() as stack:
        found: dict[tuple[str, str], Path] = {}
        mounts = [m for m in op.mounts if isinstance(m, CacheMount)]
        for volume in sorted((m.volume for m in mounts), key=_order):
            # Mounted twice it is one volume: a LOCKED one would wait for itself.
            if (volume.namespace, volume.key) not in found:
                owned = volume.owner and owner(volume.owner, root)
                opened = volumes.open(replace(volume, owner=owned))
                path = await stack.enter_async_context(opened)
                found[volume.namespace, volume.key] = path
        yield {m.target: found[m.volume.namespace, m.volume.key] for m in mounts}


def _order(volume: CacheVolume) -> tuple[str, str, int]:
    """Sort by name, and of several ways to share one volume the strictest first."""
    return volume.namespace, volume.key, ("LOCKED", "PRIVATE", "SHARED").index(volume.sharing)


def check_shared(op: Exec) -> None:
    """Refuse a command that would wait for ever for a volume that its own service holds.

    Raises:
        SandboxError: one of the two mounts it LOCKED.
    """
    own = {(v.namespace, v.key): v.sharing for v in _volumes(op)}
    for binding in op.services:
        if isinstance(binding.service, HostService):
            continue
        for volume in _volumes(binding.service.process):
            ways = {volume.sharing, own.get((volume.namespace, volume.key), "PRIVATE")}
            if "LOCKED" in ways and "PRIVATE" not in ways:
                raise SandboxError(
                    f"cache volume {volume.key!r} is mounted by a command and by its service "
                    f"{binding.alias!r}, and one of them wants it LOCKED: the command would wait "
                    "for ever; mount it SHARED in both"
                )


def _volumes(op: Exec) -> list[CacheVolume]:
    return [mount.volume for mount in op.mounts if isinstance(mount, CacheMount)]


async def secrets_of(op: Exec, events: Events) -> Secrets:
    """Ask for the secrets' values, in a thread: a program may have to be run for one."""
    if not op.secret_env and not any(isinstance(m, SecretMount) for m in op.mounts):
        return Secrets()
    secrets = await to_thread.run_sync(Secrets.fetch, op, abandon_on_cancel=True)
    for value in secrets.values():
        events.hidden.add(value)
    return secrets
