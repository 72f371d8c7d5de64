"""Removal below a mounted snapshot, by paths that were resolved before: no link is followed."""

import os
import shutil
from pathlib import Path

from pipelines.engine.patterns import Matcher, glob

__all__ = ["matching", "unlink"]


def matching(root: Path, pattern: str) -> list[str]:
    """Find what a glob matches in a mounted snapshot, without following a link."""
    matches, matcher = glob(pattern), Matcher((pattern,))
    found: list[str] = []
    stack = [""]
    while stack:
        at = stack.pop()
        with os.scandir(os.path.join(root, at)) as items:
            for item in items:
                path = f"{at}/{item.name}" if at else item.name
                is_dir = item.is_dir(follow_symlinks=False)
                if matches(path):
                    found.append(path)
                elif is_dir and matcher.verdict(path, is_dir=True) != "skip":
                    stack.append(path)
    return found


def unlink(root: Path, at: str) -> None:
    """Remove a path without links of a mounted snapshot; "" empties the root."""
    full = os.path.join(root, at)
    if not at:
        for name in os.listdir(root):
            unlink(root, name)
    elif os.path.isdir(full) and not os.path.islink(full):
        shutil.rmtree(full)
    elif os.path.lexists(full):
        os.unlink(full)
