"""The portraits of commands that ran, so that a later run can say what changed.

`<root>/portraits/<family>`: the newest of a family of commands, newest first, compressed JSON. What
several of them mount is kept once. Written by rename, whole; two writers leave one of two good
files. Portraits explain and decide nothing, so what can not be read or written is as good as
nothing.
"""

import json
import os
import tempfile
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.engine.digest import Digest

__all__ = ["KEPT", "Portraits"]

KEPT = 32  # portraits of one family: the cells of a matrix, on a few branches
_FAMILIES = 512


class Portraits:
    """The portraits of one store; for one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._at = root / "portraits"

    def of(self, family: Digest) -> list[dict[str, Any]]:
        """Give the portraits of a family, newest first."""
        try:
            kept = json.loads(zlib.decompress(self._path(family).read_bytes()))
            return [_with(row, kept["files"]) for row in kept["rows"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zlib.error):
            return []

    def put(self, family: Digest, portrait: dict[str, Any], others: list[dict[str, Any]]) -> None:
        """Keep a portrait before `others` of its family; it replaces one that is equal."""
        drawn = _drawing(portrait)
        rows = [{**portrait, "at": time.time()}]
        rows += [row for row in others if _drawing(row) != drawn][: KEPT - 1]
        files: dict[str, Any] = {}
        text = json.dumps({"rows": [_without(row, files) for row in rows], "files": files})
        with suppress(OSError):
            self._write(family, zlib.compress(text.encode(), 1))

    def _write(self, family: Digest, content: bytes) -> None:
        self._at.mkdir(mode=0o700, exist_ok=True)
        path = self._path(family)
        new = not path.exists()
        handle, name = tempfile.mkstemp(prefix=".new-", dir=self._at)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
        if new:
            self._trim()

    def _trim(self) -> None:
        """Forget the families that were longest not seen."""
        found = sorted(self._at.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in found[: max(0, len(found) - _FAMILIES)]:
            path.unlink(missing_ok=True)

    def _path(self, family: Digest) -> Path:
        return self._at / family.hex


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
    return {name: value for name, value in portrait.items() if name not in {"at", "failed"}}
