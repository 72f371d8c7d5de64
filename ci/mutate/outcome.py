"""What a run came to, cached or not, in a form that can be compared."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Exec", "Outcome", "binaries", "folder", "verdicts"]

_LINE = re.compile(r"^(ok  |FAIL|\?   |---)\t(\S+)(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Exec:
    """A command of ours: for which target, whether it ran, and the reasons that were given."""

    target: str
    name: str
    ran: bool
    reasons: tuple[Mapping[str, Any], ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Verdicts by package, digests of executables by target ("" for none)."""

    verdicts: Mapping[str, str]
    binaries: Mapping[str, str]
    execs: tuple[Exec, ...] = ()
    said: str = field(default="", compare=False)

    def differs(self, other: "Outcome") -> dict[str, tuple[str, str]]:
        """Name what is not the same, as (here, there)."""
        mine = {**self.verdicts, **self.binaries}
        theirs = {**other.verdicts, **other.binaries}
        names = sorted(mine.keys() | theirs.keys())
        found = {name: (mine.get(name, "-"), theirs.get(name, "-")) for name in names}
        return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


def verdicts(printed: str, code: int) -> dict[str, str]:
    """Read how the tests of each package ended from what `go test` printed."""
    words = {"ok  ": "passed", "FAIL": "failed", "?   ": "no tests"}
    found = {}
    for ending, package, rest in _LINE.findall(printed):
        broken = "[build failed]" in rest or "[setup failed]" in rest
        found[package] = "not built" if broken else words.get(ending, ending)
    return {**found, "go test": "passed" if code == 0 else "failed"}


def folder(target: str) -> str:
    """Name the directory of a target's executable."""
    return target.replace("/", "_").replace(" ", "-")


def binaries(root: Path, targets: tuple[str, ...]) -> dict[str, str]:
    """Digest the executables below a directory, by target."""
    return {target: _digest(root / folder(target)) for target in targets}


def _digest(place: Path) -> str:
    files = sorted(place.rglob("*")) if place.is_dir() else []
    seen = [f"{f.name} {hashlib.sha256(f.read_bytes()).hexdigest()}" for f in files if f.is_file()]
    return ", ".join(seen)
