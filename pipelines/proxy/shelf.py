"""Files on disk by the path that they were asked for, bounded, the least recently used go first.

`<root>/<2 hex>/<hex>` is the content, `<hex>.json` beside it says whose it is and its digest; the
second appears last, by rename, so that a process that dies leaves nothing that counts. Content
is compared with its digest when a process first serves it: what has rotted is a miss.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["Draft", "Shelf"]

CHUNK = 1 << 20


@dataclass(slots=True)
class Draft:
    """A file that is being written."""

    path: Path
    file: IO[bytes]
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, piece: bytes) -> None:
        """Append."""
        self.file.write(piece)
        self.digest.update(piece)
        self.size += len(piece)


class Shelf:
    """At most about `most` bytes of files."""

    def __init__(self, root: Path, most: int) -> None:
        self._root = root
        self._most = most
        self._known: set[str] = set()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held = sum(size for _, size, _ in self._all())

    @property
    def held(self) -> int:
        """Bytes of all files."""
        return self._held

    def find(self, name: str) -> Path | None:
        """Give a file that is what it was when it was put here; it counts as used now."""
        path = self._place(name)
        try:
            meta = json.loads(path.with_suffix(".json").read_bytes())
            if name not in self._known and _digest(path) != meta["sha256"]:
                self._remove(path)
                return None
            os.utime(path)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._known.add(name)
        return path

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Give a file to write; it is gone after the block unless it was `put`."""
        handle, path = tempfile.mkstemp(prefix=".new-", dir=self._root)
        try:
            with os.fdopen(handle, "wb") as file:
                yield Draft(Path(path), file)
        finally:
            Path(path).unlink(missing_ok=True)

    def put(self, name: str, draft: Draft) -> Path:
        """Keep a draft under a name, and make room for it."""
        draft.file.flush()
        path = self._place(name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            self._held -= path.stat().st_size
        meta = path.with_suffix(".json")
        meta.unlink(missing_ok=True)
        draft.path.rename(path)
        note = {"path": name, "sha256": draft.digest.hexdigest()}
        new = draft.path.with_suffix(".json")
        new.write_text(json.dumps(note))
        new.rename(meta)
        self._held += draft.size
        self._known.add(name)
        self._trim(path)
        return path

    def _trim(self, newest: Path) -> None:
        if self._held <= self._most:
            return
        for path, size, _ in sorted(self._all(), key=lambda row: row[2]):
            if self._held <= self._most * 0.9:
                return
            if path != newest:
                self._remove(path)
                self._held -= size

    def _remove(self, path: Path) -> None:
        for each in (path.with_suffix(".json"), path):
            each.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[Path, int, float]]:
        for path in self._root.glob("??/*"):
            if path.suffix != ".json":
                with suppress(FileNotFoundError):
                    status = path.stat()
                    yield path, status.st_size, status.st_mtime

    def _place(self, name: str) -> Path:
        spelled = hashlib.sha256(name.encode()).hexdigest()
        return self._root / spelled[:2] / spelled


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
