"""What the travelling caches of a session cost and saved: for the ledger, and for the policy.

A command's *share* is what it took of the run's wall time (`caches.shares`): what not running it
would have saved. It travels in the record, so that a machine that is answered by the record knows
what it was spared; and a volume's generation knows what the commands that mount it take without it
and with it (`policy.learn`).
"""

import threading
from collections.abc import Mapping
from pathlib import Path

from pipelines.caches.ledger import Did, Entry, Ledger
from pipelines.caches.metered import Meter
from pipelines.caches.policy import Link, learn, worth
from pipelines.caches.shares import Shares
from pipelines.engine.op import CacheMount, Exec
from pipelines.engine.result import Result
from pipelines.engine.store.volumes import identity

__all__ = ["Account"]


class Account:
    """The account of one session. Commands start and end in one thread, the rest in any."""

    def __init__(self, store: Path, run: str, url: str) -> None:
        self.meter = Meter()
        self._ledger = Ledger(store)
        self._run = run
        self._url = url
        self._lock = threading.Lock()
        self._shares = Shares()
        self._results: dict[int, tuple[Result, float]] = {}
        self._volumes: dict[str, float] = {}
        self._parts: dict[str, float] = {}  # the same, split among the volumes of a command
        self._entries: list[tuple[str, Did, dict[str, float | str]]] = []

    @property
    def link(self) -> Link:
        """What is known of the way to the backend, from earlier runs and this one."""
        return self._ledger.link(self._url).after(self.meter.link)

    def started(self, op: Exec) -> None:
        """Note that a command runs."""
        self._shares.started(op.digest)

    def ended(self, op: Exec, result: Result | None) -> None:
        """Note that it has ended, and with what."""
        share = self._shares.ended(op.digest)
        if result is None:
            return
        self._results[id(result)] = (result, share)
        names = {identity(m.volume) for m in op.mounts if isinstance(m, CacheMount)}
        for name in names:
            self._volumes[name] = self._volumes.get(name, 0.0) + share
            self._parts[name] = self._parts.get(name, 0.0) + share / len(names)

    def share(self, result: Result) -> float | None:
        """Give the share of the command that has just made a result; once."""
        found = self._results.pop(id(result), None)
        return found[1] if found is not None else None

    def work(self, volume: str) -> float:
        """Give what the commands that mounted a volume took, by its identity."""
        return self._volumes.get(volume, 0.0)

    def learned(self, volume: str, meta: Mapping[str, str], *, restored: bool) -> dict[str, str]:
        """Give a generation's meta with what this session's commands took."""
        took = self.work(volume)
        return learn(meta, took, restored=restored) if took else dict(meta)

    def note(self, cache: str, did: Did, **fields: float | str) -> None:
        """Note what a cache did: `seconds`, `saved`, `size`, `requests`, `why` of an entry."""
        with self._lock:
            self._entries.append((cache, did, fields))

    def restored(self, volume: str, meta: Mapping[str, str]) -> float:
        """Give what a restored volume has saved: its part, where commands mount several."""
        cold, took = worth({"cold": meta.get("cold", "")}), self.work(volume)
        part = self._parts[volume] / took if took else 1.0
        return max(0.0, cold - took) * part if cold is not None else 0.0

    def close(self) -> None:
        """Write the ledger."""
        link = self.meter.link if self.meter.requests else None
        self._ledger.add(*(
            Entry(self._run, self._url, cache, did, link=link, **fields)  # type: ignore[arg-type]
            for cache, did, fields in self._entries
        ))  # fmt: skip
