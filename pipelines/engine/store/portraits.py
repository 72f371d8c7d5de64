"""The portraits of commands that ran, so that a later run can say what changed.

One note a family, newest first; what several of them mount is kept once.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pipelines.engine.digest import Digest
from pipelines.engine.store.notes import Notes

__all__ = ["EACH", "KEPT", "Portraits"]

EACH = 8  # portraits of one command with its variables: a few branches
KEPT = 128  # of one family: the cells of a matrix
_FAMILIES = 512


class Portraits:
    """The portraits of one store; for one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._notes = Notes(root / "portraits", _FAMILIES)

    def of(self, family: Digest) -> list[dict[str, Any]]:
        """Give the portraits of a family, newest first."""
        kept = self._notes.get(family.hex)
        try:
            return [_with(row, kept["files"]) for row in kept["rows"]]
        except (KeyError, TypeError, AttributeError):
            return []

    def put(self, family: Digest, portrait: dict[str, Any], others: list[dict[str, Any]]) -> None:
        """Keep a portrait before `others` of its family; it replaces one that is equal."""
        drawn = _drawing(portrait)
        rows = [{**portrait, "at": time.time()}]
        rows += [row for row in others if _drawing(row) != drawn]
        rows = _few_of_each(rows)[:KEPT]
        files: dict[str, Any] = {}
        thin = [_without(row, files) for row in rows]
        self._notes.put(family.hex, {"rows": thin, "files": files})


def _few_of_each(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out old ones, cell by cell: a large matrix must not push out its own first cells."""
    kept, seen = [], Counter[str]()
    for row in rows:
        cell = json.dumps([row["command"], row["environment"]], sort_keys=True)
        seen[cell] += 1
        if seen[cell] <= EACH:
            kept.append(row)
    return kept


def _without(portrait: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """Take the files of mounts out, into a table by the digest of the mount."""
    mounts = {}
    for at, mount in portrait["mounts"].items():
        if "files" in mount:
            files[mount["digest"]] = mount["files"]
        mounts[at] = {name: value for name, value in mount.items() if name != "files"}
    return {**portrait, "mounts": mounts}


def _with(row: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    mounts = {
        at: {**mount, "files": files[mount["digest"]]} if mount.get("digest") in files else mount
        for at, mount in row["mounts"].items()
    }
    return {**row, "mounts": mounts}


def _drawing(portrait: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in portrait.items() if name not in {"at", "failed", "key"}}
