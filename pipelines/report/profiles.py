"""Coverage profiles as `go test -coverprofile` writes them: read, merge, sum up, write.

    mode: set
    example.com/m/x.go:3.14,5.2 2 1        file:line.column,line.column statements count

A block that several test binaries have run appears in the profile of each. Merged, its counts are
added (`count`, `atomic`) or it is covered if it was in any (`set`); where modes differ, `set` is
what all of them can say.

Source: `golang.org/x/tools/cover`, package documentation; `go help testflag` on -covermode.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines._errors import UsageError

__all__ = ["Profile", "merge", "percent", "read", "summary", "write"]

MODES = ("set", "count", "atomic")
_BLOCK = re.compile(r"(?P<where>.+:\d+\.\d+,\d+\.\d+) (?P<statements>\d+) (?P<count>\d+)")


@dataclass(frozen=True, slots=True)
class Profile:
    """Blocks by where they are, each with its number of statements and how often it ran."""

    mode: str
    blocks: Mapping[str, tuple[int, int]]


def read(text: str, name: str = "the profile") -> Profile:
    """Read a profile; a block that stands in it more than once is merged.

    Raises:
        UsageError: it is none.
    """
    lines = text.splitlines()
    mode = lines[0].removeprefix("mode: ") if lines else ""
    if mode not in MODES:
        raise UsageError(f"{name} is no coverage profile: it begins with {text[:40]!r}")
    blocks: dict[str, tuple[int, int]] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if (found := _BLOCK.fullmatch(line)) is None:
            raise UsageError(f"{name}, line {number}, is no block of a profile: {line[:80]!r}")
        ran = (int(found["statements"]), int(found["count"]))
        _add(blocks, found["where"], ran, once=mode == "set")
    return Profile(mode, blocks)


def merge(profiles: Iterable[Profile]) -> Profile:
    """Merge profiles of the same source.

    Raises:
        UsageError: there is none, or a block has not as many statements everywhere.
    """
    profiles = list(profiles)
    if not profiles:
        raise UsageError("there are no coverage profiles to merge")
    modes = {profile.mode for profile in profiles}
    mode = "set" if "set" in modes else "atomic" if "atomic" in modes else "count"
    blocks: dict[str, tuple[int, int]] = {}
    for profile in profiles:
        for where, ran in profile.blocks.items():
            _add(blocks, where, ran, once=mode == "set")
    return Profile(mode, blocks)


def _add(
    blocks: dict[str, tuple[int, int]], where: str, ran: tuple[int, int], *, once: bool
) -> None:
    statements, count = ran
    before, already = blocks.get(where, (statements, 0))
    if before != statements:
        raise UsageError(
            f"{where} has {before} statements in one profile and {statements} in another: "
            "they are of different sources"
        )
    count += already
    blocks[where] = (statements, min(count, 1) if once else count)


def write(profile: Profile) -> str:
    """Write a profile, sorted by file and place as Go does."""
    rows = sorted(profile.blocks.items(), key=lambda row: _place(row[0]))
    lines = [f"{where} {statements} {count}" for where, (statements, count) in rows]
    return "\n".join([f"mode: {profile.mode}", *lines]) + "\n"


def _place(where: str) -> tuple[str, list[int]]:
    file, _, span = where.rpartition(":")
    return file, [int(number) for number in re.split("[.,]", span)]


def percent(blocks: Iterable[tuple[int, int]]) -> float:
    """Give which share of statements ran; of no statements, all did not."""
    total = covered = 0
    for statements, count in blocks:
        total += statements
        covered += statements if count else 0
    return 100 * covered / total if total else 0.0


def summary(profile: Profile) -> str:
    """Write the share of each package, and of all."""
    packages: dict[str, list[tuple[int, int]]] = {}
    for where, ran in sorted(profile.blocks.items()):
        packages.setdefault(posixpath.dirname(where.rpartition(":")[0]), []).append(ran)
    rows = [(name, percent(blocks)) for name, blocks in packages.items()]
    rows.append(("total", percent(profile.blocks.values())))
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {share:5.1f} %\n" for name, share in rows)
