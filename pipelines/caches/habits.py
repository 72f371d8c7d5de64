"""Habits of the tools whose caches travel: what they leave behind, and what they tell of use.

    dropped     files and directories that must not travel: they would make the tool believe
                something that is not so here (Go's `trim.txt` says that old entries were just
                removed, and so a restored cache would grow for ever), locks, and what is of use
                on this machine only (executables that `pipelines.go` keeps beside Go's cache)
    aged        seconds that restored files are set back, so that use shows: the tool touches
                what it uses if its time is older than an hour, and removes what is older than
                five days. None: the tool says nothing, and what is there counts as used
    entry       what an entry's path looks like; of other files the tool does not show its use
                (of an executable that Go keeps it touches the directory; of a corpus, nothing)
    fixed       suffix of files whose name is their contents: never read again if only times
                changed
    keyed       entries are named by what they are made from, so two caches may be united;
                otherwise the newer one, whole, takes the place of the other

A tree that nothing is known of keeps all that is in it.
Source: cmd/go/internal/cache (Go 1.26), ccache 4 and sccache manuals, Gradle's build cache.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HABITS", "PLAIN", "Habit", "detect", "detected", "habit"]


@dataclass(frozen=True, slots=True)
class Habit:
    """How a tool treats its cache; see the module."""

    name: str
    dropped: frozenset[bytes] = frozenset()
    aged: int | None = None
    entry: re.Pattern[bytes] = re.compile(rb".+/.+", re.DOTALL)
    fixed: bytes | None = None
    keyed: bool = False
    keep: int = 1  # generations besides the present one whose entries are kept


PLAIN = Habit("plain")

HABITS: Mapping[str, Habit] = {
    one.name: one
    for one in (
        PLAIN,
        Habit(
            "go-build", frozenset({b"trim.txt", b"kept"}), aged=3 * 3600, fixed=b"-d", keyed=True,
            entry=re.compile(rb"[0-9a-f]{2}/[^/]+"),
        ),
        Habit("go-mod", frozenset({b"cache/lock"}), keyed=True),
        Habit("ccache", aged=3 * 3600, keyed=True),
        Habit("sccache", aged=3 * 3600, keyed=True),
        Habit("cargo-registry", frozenset({b".package-cache"}), keyed=True),
        Habit("cargo-target", frozenset({b"debug/.cargo-lock", b"release/.cargo-lock"})),
        Habit("gradle"),
        Habit("npm", frozenset({b"_update-notifier-last-checked"}), keyed=True),
        Habit("pip", keyed=True),
        Habit("uv", frozenset({b".lock"}), keyed=True),
        Habit("maven", keyed=True),
        Habit("apt", frozenset({b"lock"}), keyed=True),
    )
}  # fmt: skip

# What tells a cache: all of these are in its top directory.
_MARKS: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("go-build", (b"00", b"ff", b"README")),
    ("go-mod", (b"cache", b"cache/download")),
    ("ccache", (b"0", b"ccache.conf")),
    ("ccache", (b"0", b"f", b"CACHEDIR.TAG")),
    ("ccache", (b"0", b"f", b"tmp")),
    ("cargo-registry", (b"index", b"cache", b"src")),
    ("cargo-target", (b".rustc_info.json",)),
    ("gradle", (b"caches", b"wrapper")),
    ("npm", (b"_cacache",)),
    ("uv", (b"CACHEDIR.TAG", b"archive-v0")),
    ("pip", (b"http-v2",)),
    ("maven", (b"org", b"com")),
    ("apt", (b"partial",)),
)


def habit(name: str) -> Habit:
    """Give a habit by name; a name of a newer version is a tool that nothing is known of."""
    return HABITS.get(name, PLAIN)


def detect(root: Path) -> Habit:
    """Tell a cache by what is in its top directory."""
    top = os.fsencode(root)
    return detected(lambda mark: os.path.lexists(os.path.join(top, mark)))


def detected(has: Callable[[bytes], bool]) -> Habit:
    """Tell a cache by a function that says whether it has a path."""
    for name, marks in _MARKS:
        if all(map(has, marks)):
            return HABITS[name]
    return PLAIN
