"""Where a mutation works: a draft of a tree, and chance."""

import hashlib
import posixpath
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ci.mutate.trees import Node, Tree

__all__ = ["Impossible", "Options", "Site", "State"]

V = TypeVar("V")


class Impossible(Exception):
    """The tree has nothing that a kind of mutation can change."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for besides its source."""

    tags: str = ""
    stamp: str = ""
    private: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """A source and the options: what results depend on."""

    tree: Tree
    options: Options = Options()

    @property
    def digest(self) -> str:
        """Name the state by every file and option."""
        files = [f"{path}\0{node.digest}" for path, node in sorted(self.tree.items())]
        return hashlib.sha256("\n".join([str(self.options), *files]).encode()).hexdigest()


@dataclass(slots=True)
class Site:
    """One mutation at work.

    `files` is the draft. `touched` get new times only, `moved` asks for a fresh checkout in another
    place, `same_times` for an edit that leaves sizes and times as they were.
    """

    before: State
    rng: random.Random
    past: Sequence[State] = ()
    files: dict[str, Node] = field(default_factory=dict)
    options: Options = Options()
    touched: tuple[str, ...] = ()
    moved: bool = False
    same_times: bool = False

    def __post_init__(self) -> None:
        """Begin with what is there."""
        self.files = dict(self.before.tree)
        self.options = self.before.options

    @property
    def word(self) -> str:
        """Give a word that was never used before."""
        return f"m{self.rng.getrandbits(40):010x}"

    def choose(self, among: Sequence[V]) -> V:
        """Choose one.

        Raises:
            Impossible: there is none.
        """
        if not among:
            raise Impossible
        return self.rng.choice(among)

    def names(self, wanted: Callable[[str], bool]) -> list[str]:
        """List the files, no links, whose names are wanted."""
        return sorted(n for n, node in self.files.items() if wanted(n) and not node.link)

    def sources(self, *, tests: bool = False) -> list[str]:
        """List Go files that belong to packages, test files or the others."""
        return [n for n in self.names(_source) if n.endswith("_test.go") is tests]

    def packages(self) -> list[str]:
        """List the directories with Go files."""
        return sorted({posixpath.dirname(name) for name in self.sources()})

    def clause(self, name: str) -> str:
        """Read the name of the package that a file belongs to."""
        found = re.search(r"^package\s+(\w+)", self.files[name].text, re.MULTILINE)
        if found is None:
            raise Impossible
        return found[1]

    def module(self) -> str:
        """Read the module's path."""
        found = re.search(r"^module\s+(\S+)", self.files["go.mod"].text, re.MULTILINE)
        if found is None:
            raise Impossible
        return found[1]

    def put(self, name: str, text: str | bytes) -> None:
        """Write a file; its mode stays."""
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        self.files[name] = replace(self.files.get(name, Node()), data=data, link="")

    def append(self, name: str, text: str) -> None:
        """Add to the end of a file."""
        self.put(name, f"{self.files[name].text.rstrip()}\n{text}")

    def swap(self, name: str, pattern: str, new: Callable[[re.Match[str]], str]) -> None:
        """Replace one of a pattern's matches in a file."""
        text = self.files[name].text
        found = self.choose(list(re.finditer(pattern, text)))
        self.put(name, text[: found.start()] + new(found) + text[found.end() :])

    def rename(self, name: str, to: str) -> None:
        """Move a file to a name that is free."""
        if to in self.files:
            raise Impossible
        self.files[to] = self.files.pop(name)


def _source(name: str) -> bool:
    parts = name.split("/")
    hidden = any(p[0] in "._" or p in {"testdata", "vendor"} for p in parts)
    return name.endswith(".go") and not hidden
