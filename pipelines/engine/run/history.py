"""Telling why a command runs, while it runs.

The explanation is made in a thread beside the command and told as an event of its own: a
command never waits for it before it starts. Without a listener nothing is explained or kept.
"""

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
from anyio import to_thread

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ExecFailed
from pipelines.engine.events import Events
from pipelines.engine.op import CacheMount, CacheVolume, Exec, key
from pipelines.engine.reasons import Portrait, family, portrait, reasons
from pipelines.engine.result import Ran, Result, content

__all__ = ["History", "Kept"]


class Kept(Protocol):
    """Where portraits are kept."""

    def of(self, family: Digest) -> list[dict[str, Any]]:
        """Give the portraits of a family, newest first."""
        ...

    def put(self, family: Digest, portrait: Portrait, others: list[dict[str, Any]]) -> None:
        """Keep a portrait before others of its family."""
        ...


@dataclass(frozen=True, slots=True)
class History:
    """Explains commands.

    `exists` tells whether a cache volume is there already, `used` when results were used last.
    """

    kept: Kept
    events: Events
    exists: Callable[[CacheVolume], bool]
    used: Callable[[Sequence[str]], Mapping[str, float]]
    alone: threading.Lock = field(default_factory=threading.Lock)

    async def told(
        self, op: Exec, inputs: Sequence[Result], run: Callable[[], Awaitable[Ran]]
    ) -> Ran:
        """Run a command; meanwhile tell why, and remember how it was."""
        if not self.events.heard:
            return await run()
        mounts = (m for m in op.mounts if isinstance(m, CacheMount))
        lost = [mount.target for mount in mounts if not self.exists(mount.volume)]
        error: Exception | None = None
        result: Ran | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._explain, op, inputs, lost)
            try:
                result = await run()
            except Exception as exc:  # noqa: BLE001 - raised below, outside of the group
                error = exc
        if error is None or isinstance(error, ExecFailed):
            failed = error is not None
            await to_thread.run_sync(self._keep, op, inputs, failed)
        if error is not None:
            raise error
        assert result is not None
        return result

    async def _explain(self, op: Exec, inputs: Sequence[Result], lost: list[str]) -> None:
        found = await to_thread.run_sync(self._reasons, op, inputs, lost)
        self.events.why(op, found)

    def _reasons(self, op: Exec, inputs: Sequence[Result], lost: list[str]) -> list[dict[str, str]]:
        found = reasons(portrait(op, inputs), self.kept.of(family(op)), lost, self.used)
        return [reason.fields() for reason in found]

    def _keep(self, op: Exec, inputs: Sequence[Result], failed: bool) -> None:
        contents = key(op, [content(r, e.output) for r, e in zip(inputs, op.inputs, strict=True)])
        drawn = portrait(op, inputs) | ({"failed": True} if failed else {"key": str(contents)})
        name = family(op)
        with self.alone:  # the cells of a matrix are one family
            self.kept.put(name, drawn, self.kept.of(name))
