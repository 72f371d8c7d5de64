"""Trim a directory that Go uses as its build cache (GOCACHE), by use.

Theory of operation
    Go removes what was not used for five days, and looks once a day: an edit every few minutes
    leaves a cache several times the size of what is used. Which entries those are can not be read
    from the cache: Go gives an entry the present as its mtime when it uses it, but not if the
    mtime is less than an hour old.

    So a *look* gives every entry that was used since the last look the mtime `look - 2 h`. The
    next use will then set it, however soon; an entry of which it is not set was not used. Its
    mtime says of which look it was last, so nothing else has to be remembered than the looks. To
    Go the entries are two hours older than they are, of 120.

    What the last look saw used is kept, and what was used in the last look that was *full* (nearly
    as many bytes as any of late): between two runs of the tests there may be many builds. That is
    the working set, and a little more, since there may be several edits between two looks. When
    all is more than 1.15 times as much, what was used longest ago goes until it is not.

    Nobody has the volume open meanwhile (its lock), so no command loses what it found. An entry
    that is gone is a miss for Go, as after its own trimming. What a crash leaves undone only
    makes entries look used.

    Contents that come from elsewhere (a seed, a travelled cache) have times of another life; Go
    would remove them when its next command ends. `settle` makes them as new.

Source: `cmd/go/internal/cache/cache.go` (`markUsed`, `Trim`).
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Entry", "Look", "Plan", "is_gocache", "plan", "settle", "trim"]

AGE = 2 * 3600.0
HOUR = 3600.0
ROOM = 1.15  # of the working set
AFTER = 1.05
FULL = 0.9  # of the most bytes that a look saw used
LOOKS = 32
SLOTS = 16  # of kept executables (`pipelines/go/kept.sh`)
STALE = 86400.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache; `used` is its mtime."""

    path: str
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Look:
    """When it was looked, and how many bytes had been used since the look before."""

    at: float
    used: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to remove, what to make older, and the looks to remember."""

    remove: tuple[Entry, ...]
    age: tuple[Entry, ...]
    looks: tuple[Look, ...]


def plan(entries: Sequence[Entry], looks: Sequence[Look], now: float) -> Plan:
    """Decide; pure."""
    last = looks[-1].at if looks else float("-inf")
    used = tuple(e for e in entries if e.used > last - HOUR)
    looks = (*looks[1 - LOOKS :], Look(now, sum(e.size for e in used)))
    most = max(look.used for look in looks)
    full = max(n for n, look in enumerate(looks) if look.used >= FULL * most)
    working = {len(looks) - 1, full}
    marks = {round(look.at - AGE): n for n, look in enumerate(looks)}
    fresh = {e.path for e in used}
    idle = [e for e in entries if e.path not in fresh and marks.get(round(e.used)) not in working]
    total = sum(e.size for e in entries)
    needed = total - sum(e.size for e in idle)
    remove: list[Entry] = []
    if total > ROOM * needed:
        for entry in sorted(idle, key=lambda e: e.used):
            if total <= AFTER * needed:
                break
            remove.append(entry)
            total -= entry.size
    return Plan(tuple(remove), used, looks)


def is_gocache(directory: Path) -> bool:
    """Tell whether Go has used a directory as its build cache."""
    return (directory / "00").is_dir() and (directory / "ff").is_dir()


def trim(directory: Path, state: Path, now: float) -> int:
    """Look at a cache that nobody uses, and remove what is too much; give the bytes."""
    chosen = plan(list(_entries(directory)), _read(state), now)
    _write(state, chosen.looks)
    for entry in chosen.remove:
        _remove(entry.path)
    _set(chosen.age, now - AGE)
    _slots(directory / "kept", now)
    return sum(entry.size for entry in chosen.remove)


def settle(directory: Path, now: float) -> None:
    """Give all entries of a cache that came from elsewhere a time at which Go keeps them."""
    if is_gocache(directory):
        _set(tuple(_entries(directory)), now - AGE)


def _set(entries: Sequence[Entry], at: float) -> None:
    for entry in entries:
        try:
            os.utime(entry.path, (at, at))
        except FileNotFoundError:
            continue


def _entries(directory: Path) -> Iterator[Entry]:
    for number in range(256):
        try:
            found = list(os.scandir(directory / f"{number:02x}"))
        except OSError:
            continue
        for item in found:
            status = item.stat(follow_symlinks=False)
            size = status.st_blocks * 512
            if item.is_dir(follow_symlinks=False):  # an executable, as `go run` keeps it
                size += sum(f.stat().st_blocks * 512 for f in Path(item.path).iterdir())
            yield Entry(item.path, size, status.st_mtime)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except IsADirectoryError:
        shutil.rmtree(path, ignore_errors=True)
    except FileNotFoundError:
        return


def _slots(kept: Path, now: float) -> None:
    """Remove kept executables of builds that were not made for long, and what dead ones left."""
    try:
        slots = sorted(kept.iterdir(), key=lambda p: p.lstat().st_mtime, reverse=True)
    except OSError:
        return
    for slot in slots[SLOTS:]:
        shutil.rmtree(slot, ignore_errors=True)
    for scrap in kept.glob("*/new.*"):
        if scrap.lstat().st_mtime < now - STALE:
            shutil.rmtree(scrap, ignore_errors=True)


def _read(state: Path) -> tuple[Look, ...]:
    try:
        return tuple(Look(float(at), int(used)) for at, used in json.loads(state.read_bytes()))
    except (OSError, ValueError, TypeError):
        return ()


def _write(state: Path, looks: Sequence[Look]) -> None:
    draft = state.with_name(f"{state.name}.new")
    draft.write_text(json.dumps([[look.at, look.used] for look in looks]))
    draft.rename(state)
