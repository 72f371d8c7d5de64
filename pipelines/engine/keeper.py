"""The store as a session's client may look after it.

A session that has solved something holds on to what it found: its results name layers and
files that no record need name. So a prune goes through at once only while nothing was solved,
with everyone kept waiting meanwhile; later on it takes cache volumes that nobody has open at
once, and everything else when the session ends.
"""

import sys
import time
from collections.abc import Callable, Sequence

import anyio
from anyio import to_thread

from pipelines.engine.accounts import Held, Limits, Wanted
from pipelines.engine.errors import StoreError
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.leases import Lease

__all__ = ["Keeper"]


class Keeper:
    """Looks after the store for one session; `idle` says that it holds on to nothing."""

    def __init__(
        self, layout: Layout, lease: Lease, *, owners: bool, idle: Callable[[], bool]
    ) -> None:
        self._layout = layout
        self._lease = lease
        self._owners = owners
        self._idle = idle
        self._began = time.time()
        self._sweeping = anyio.Lock()
        self._left: Wanted | None = None

    async def limits(self) -> Limits:
        """Give what the store is kept to."""
        from pipelines.engine import upkeep

        return await to_thread.run_sync(upkeep.limits, self._layout)

    async def holdings(self) -> Sequence[Held]:
        """List what the store holds."""
        from pipelines.engine import upkeep

        return await to_thread.run_sync(
            lambda: upkeep.holdings(self._layout, owners=self._owners, since=self._began)
        )

    async def prune(self, wanted: Wanted) -> None:
        """Delete what is too much, as far as it goes now; the rest when the session ends."""
        async with self._sweeping:
            alone = self._lease if self._idle() else None
            whole = await to_thread.run_sync(self._prune, wanted, alone)
        self._left = None if whole else wanted

    async def still(self) -> None:
        """Wait until nothing is being swept."""
        if self._sweeping.locked():
            async with self._sweeping:
                return

    def finish(self) -> bool:
        """Do what was left, now that the session has ended; False if nothing was."""
        if self._left is None:
            return False
        try:
            self._prune(self._left, None)
        except (OSError, StoreError) as error:
            sys.stderr.write(f"warning: the store was not pruned: {error}\n")
        return True

    def _prune(self, wanted: Wanted, lease: Lease | None) -> bool:
        from pipelines.engine import upkeep

        return upkeep.prune(self._layout, wanted, owners=self._owners, lease=lease)
