"""What caches cost and what they saved, run by run: `<store>/ledger.jsonl`.

One line an entry, appended whole; the older half goes when the file has grown large. It tells and
decides little: of it come the report and what is known of a backend's link. A ledger that can
not be read or written is empty, never an error.

    run      names a run; entries of one run are told together
    cache    `results` or `volume <name>`
    did      restored | hit | saved | skipped | gave up | missed | failed
    seconds  that the run waited for it (a save beside the run costs the wait at the end alone)
    saved    seconds of the run's wall time that the work would have taken (see `shares`)
    size     bytes that went over the link, in `requests` requests
    why      in words
"""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pipelines.caches.policy import Link

__all__ = ["Did", "Entry", "Ledger", "Line", "report", "total"]

Did = Literal["restored", "hit", "saved", "skipped", "gave up", "missed", "failed"]

LARGEST = 2 << 20
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a cache did in a run."""

    run: str
    url: str
    cache: str
    did: Did
    seconds: float = 0.0
    saved: float = 0.0
    size: int = 0
    requests: int = 0
    why: str = ""
    at: float = field(default_factory=time.time)
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A cache in a report; `received` and `sent` are bytes, the rest seconds and counts."""

    cache: str
    did: Mapping[str, int]
    saved: float
    spent: float
    received: int
    sent: int
    requests: int
    why: str = ""

    @property
    def net(self) -> float:
        """Seconds won; less than nothing if the cache lost time."""
        return self.saved - self.spent


class Ledger:
    """The ledger of a store."""

    def __init__(self, store: Path, largest: int = LARGEST) -> None:
        self._path = store / "ledger.jsonl"
        self._largest = largest

    def add(self, *entries: Entry) -> None:
        """Append entries."""
        text = "".join(json.dumps(_fields(entry)) + "\n" for entry in entries)
        with suppress(OSError):
            self._trim()
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, text.encode())
            finally:
                os.close(handle)

    def entries(self) -> list[Entry]:
        """Read all entries, oldest first; what makes no sense is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return []
        return [entry for line in lines if (entry := _entry(line)) is not None]

    def last(self) -> list[Entry]:
        """Give the entries of the run that wrote last."""
        entries = self.entries()
        return [entry for entry in entries if entry.run == entries[-1].run]

    def link(self, url: str) -> Link:
        """Give what is known of a backend's link; the default's numbers if nothing is."""
        known = Link()
        for entry in self.entries():
            if entry.url == url and entry.link is not None:
                known = known.after(entry.link)
        return known

    def _trim(self) -> None:
        with suppress(FileNotFoundError):
            if self._path.stat().st_size < self._largest:
                return
            lines = self._path.read_bytes().splitlines(keepends=True)
            draft = self._path.with_suffix(f".{os.getpid()}")
            draft.write_bytes(b"".join(lines[len(lines) // 2 :]))
            draft.replace(self._path)


def report(entries: Iterable[Entry]) -> list[Line]:
    """Add up entries by cache: the best first, what lost time last."""
    by_cache: dict[str, list[Entry]] = {}
    for entry in entries:
        by_cache.setdefault(entry.cache, []).append(entry)
    lines = [_line(cache, own) for cache, own in by_cache.items()]
    return sorted(lines, key=lambda line: (-line.net, line.cache))


def total(lines: Sequence[Line]) -> Line:
    """Add up the lines of a report."""
    did: dict[str, int] = {}
    for line in lines:
        for what, count in line.did.items():
            did[what] = did.get(what, 0) + count
    return Line(
        "total",
        did,
        sum(line.saved for line in lines),
        sum(line.spent for line in lines),
        sum(line.received for line in lines),
        sum(line.sent for line in lines),
        sum(line.requests for line in lines),
    )


def _line(cache: str, entries: Sequence[Entry]) -> Line:
    did: dict[str, int] = {}
    for entry in entries:
        did[entry.did] = did.get(entry.did, 0) + 1
    return Line(
        cache,
        did,
        sum(entry.saved for entry in entries),
        sum(entry.seconds for entry in entries),
        sum(entry.size for entry in entries if entry.did != "saved"),
        sum(entry.size for entry in entries if entry.did == "saved"),
        sum(entry.requests for entry in entries),
        next((entry.why for entry in reversed(entries) if entry.why), ""),
    )


def _fields(entry: Entry) -> dict[str, Any]:
    return {"v": FORMAT, **{k: v for k, v in asdict(entry).items() if v not in (None, "", 0)}}


def _entry(line: bytes) -> Entry | None:
    try:
        fields = json.loads(line)
        if fields.pop("v") != FORMAT or fields["did"] not in get_args(Did):
            return None
        if (link := fields.get("link")) is not None:
            fields["link"] = Link(**link)
        return Entry(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
