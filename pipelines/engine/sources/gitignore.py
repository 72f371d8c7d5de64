"""Nested .gitignore files: what git would not add.

Rules of a deeper file win over those above it; in one file the last match wins. What lies
below an ignored directory is ignored whatever the rules say, because git does not look there.
"""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["Gitignore", "rules_above"]

Lines = Sequence[str]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The rules of one file; `below` goes in front of a tree's path, `cut` off it."""

    spec: "GitIgnoreSpec"
    below: str = ""
    cut: int = 0


class Gitignore:
    """Rules for the paths of one tree.

    `load` gives the lines of the .gitignore in a directory of the tree ("" is the root), or
    None. `above` are rules from outside the tree, outermost first: (the tree's path as seen
    from there, with a "/" behind it; lines).
    """

    def __init__(
        self, load: Callable[[str], Lines | None], above: Sequence[tuple[str, Lines]] = ()
    ) -> None:
        self._load = load
        outer = tuple(_Layer(_spec(lines), below) for below, lines in above)
        self._layers: dict[str, tuple[_Layer, ...]] = {}
        own = load("")
        self._layers[""] = (*outer, _Layer(_spec(own))) if own else outer

    def ignores(self, path: str, is_dir: bool) -> bool:
        """Tell whether a path is ignored, given that the directory above it is not."""
        return bool(self.verdict(path, is_dir))

    def verdict(self, path: str, is_dir: bool) -> bool | None:
        """Give what the rules say of a path; None if they say nothing."""
        for layer in reversed(self._of(path.rpartition("/")[0])):
            text = layer.below + path[layer.cut :]
            ignored: bool | None = layer.spec.check_file(text + "/" if is_dir else text).include
            if ignored is not None:
                return ignored
        return None

    def _of(self, directory: str) -> tuple[_Layer, ...]:
        layers = self._layers.get(directory)
        if layers is None:
            layers = self._of(directory.rpartition("/")[0])
            lines = self._load(directory)
            if lines:
                layers = (*layers, _Layer(_spec(lines), cut=len(directory) + 1))
            self._layers[directory] = layers
        return layers


def rules_above(root: str) -> list[tuple[str, Lines]]:
    """Read the .gitignore files above a directory, up to the one that holds .git.

    Outside of any repository there are none.
    """
    found: list[tuple[str, Lines]] = []
    below, at = "", os.path.realpath(root)
    while not os.path.lexists(os.path.join(at, ".git")):
        up, name = os.path.split(at)
        if up == at:
            return []
        at, below = up, f"{name}/{below}"
        lines = read_lines(os.path.join(at, ".gitignore"))
        if lines:
            found.insert(0, (below, lines))
    return found


def read_lines(path: str) -> Lines | None:
    """Read a .gitignore of the host; None if there is no file that can be read."""
    try:
        # A pipe of that name must not hold us up.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read().splitlines() if stat.S_ISREG(os.fstat(fd).st_mode) else None
    except OSError:
        return None


def _spec(lines: Lines) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)
