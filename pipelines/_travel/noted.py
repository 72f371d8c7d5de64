"""What came of the caches of one run: told at once, and written down at the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipelines.caches.ledger import Did, Entry, Ledger
from pipelines.caches.metered import Meter
from pipelines.caches.policy import Link

__all__ = ["Noted"]


class Noted:
    """The account of one run; `listen` takes events such as the embedded engine tells."""

    def __init__(self, store: Path, url: str, listen: Callable[[dict[str, Any]], None]) -> None:
        self.meter = Meter()
        self._ledger = Ledger(store)
        self._url = url
        self._listen = listen
        self._run = uuid4().hex
        self._entries: list[Entry] = []
        self._warned = False

    def link(self) -> Link:
        """Tell what is known of the way to the backend, from earlier runs and this one."""
        return self._ledger.link(self._url).after(self.meter.link)

    def note(  # noqa: PLR0917 - the fields of an entry
        self,
        cache: str,
        did: Did,
        seconds: float = 0.0,
        size: int = 0,
        requests: int = 0,
        files: int = 0,
        why: str = "",
    ) -> None:
        """Take what came of a cache."""
        self._entries.append(
            Entry(self._run, self._url, cache, did, seconds, 0.0, size, requests, why)
        )
        known = {"bytes": size, "files": files, "seconds": round(seconds, 3), "why": why}
        fields = {name: value for name, value in known.items() if value}
        self._listen({"event": "cache", "state": did, "cache": cache, **fields})

    def unsaved(self, why: str) -> None:
        """Tell that this run may save nothing, and why."""
        self._listen({"event": "cache", "state": "unsaved", "cache": "", "why": why})

    def warn(self, text: str) -> None:
        """Say once that the cache gives nothing; the run goes on without it."""
        if not self._warned:
            self._warned = True
            self._listen({"event": "warning", "text": f"the travelling cache is left out: {text}"})

    def close(self) -> None:
        """Write the ledger."""
        link = self.meter.link if self.meter.requests else None
        if self._entries and link is not None:
            from dataclasses import replace

            self._entries[-1] = replace(self._entries[-1], link=link)
        self._ledger.add(*self._entries)
