"""Portraits of commands that ran on other machines, so that a fresh one can tell what changed.

A portrait (`reasons`) is kept with the results, as a record `portrait/<family>`. On a machine that
has none of a family, those of the other machines are compared with: a command that has to run on
a fresh runner runs because a file changed, and not because it is the first. They explain, and
decide nothing.
"""

import json
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pipelines.engine.digest import Digest

__all__ = ["PREFIX", "Kept", "Portraits"]

LARGEST = 64 * 1024  # compressed; a mount of 20,000 files is not worth its explanation
PREFIX = "portrait/"


class Kept(Protocol):
    """Where portraits are kept here."""

    def of(self, family: Digest) -> list[dict[str, Any]]:
        """Give the portraits of a family, newest first."""
        ...

    def put(self, family: Digest, portrait: dict[str, Any], others: list[dict[str, Any]]) -> None:
        """Keep a portrait before others of its family."""
        ...


class Portraits:
    """Those of this machine, then those of others; safe for threads."""

    def __init__(self, kept: Kept, known: Callable[[], Mapping[str, bytes]]) -> None:
        self._kept = kept
        self._known = known
        self._lock = threading.Lock()
        self._drawn: set[Digest] = set()

    def of(self, family: Digest) -> list[dict[str, Any]]:
        """Give the portraits of a family, newest first."""
        if own := self._kept.of(family):
            return own
        try:
            found = json.loads(zlib.decompress(self._known()[PREFIX + family.hex]))
        except (KeyError, ValueError, zlib.error):
            return []
        return found if isinstance(found, list) else []

    def put(self, family: Digest, portrait: dict[str, Any], others: list[dict[str, Any]]) -> None:
        """Keep a portrait here, and for other machines."""
        self._kept.put(family, portrait, others)
        with self._lock:
            self._drawn.add(family)

    def records(self) -> dict[str, bytes]:
        """Give what this session has drawn, as records."""
        with self._lock:
            drawn = sorted(self._drawn)
        packed = {
            PREFIX + f.hex: zlib.compress(json.dumps(self._kept.of(f)).encode()) for f in drawn
        }
        return {name: content for name, content in packed.items() if len(content) <= LARGEST}
