"""Which volumes an engine has kept from runs of this store: they are warm, and left as they are.

Theory of operation
    A source is part of what a volume is, so a seeded volume is another one for each generation.
    On an engine that keeps its volumes, every run would begin with a restore of what the engine
    has. So a store remembers, by the engine's name, the backend and the scope, whether the volume
    without a source is warm, and upon which generation. A volume that is seeded there for the
    second time is copied to the one without a source, and from then on that is used. A machine
    that lives for one run remembers nothing and copies nothing.

    A note may be wrong: the engine may have lost the volume. The save sees that, and forgets.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

__all__ = ["MET", "Standing"]

MET = ""
"""Seeded here once; no digest of a generation."""


class Standing:
    """The notes of one store about volumes of one backend and scope."""

    def __init__(self, store: Path, url: str, scope: str) -> None:
        self._home = store / "dagger-volumes"
        self._of = (url, scope)

    def get(self, engine: str, key: str) -> str | None:
        """Give the digest of the generation that a warm volume is based on; None: not known."""
        with suppress(OSError, UnicodeDecodeError):
            return self._path(engine, key).read_text().strip()
        return None

    def put(self, engine: str, key: str, digest: str) -> None:
        """Note it, or `MET`."""
        with suppress(OSError):
            path = self._path(engine, key)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_text(digest)
            draft.replace(path)

    def forget(self, engine: str, key: str) -> None:
        """Know nothing of a volume any more."""
        self._path(engine, key).unlink(missing_ok=True)

    def _path(self, engine: str, key: str) -> Path:
        text = json.dumps([*self._of, engine, key])
        return self._home / hashlib.sha256(text.encode()).hexdigest()
