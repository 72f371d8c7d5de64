"""Notes: small JSON documents by name, which save work or explain it, and decide nothing.

`<root>/<name>`, compressed. Written by rename, whole; two writers leave one of two good files. What
can not be read or written is as good as nothing; the ones that were longest not written go first.
"""

import json
import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["Notes"]


class Notes:
    """At most about `most` documents in a directory."""

    def __init__(self, root: Path, most: int) -> None:
        self._root = root
        self._most = most

    def get(self, name: str) -> Any:
        """Give a document; None if there is none that can be read."""
        try:
            return json.loads(zlib.decompress((self._root / name).read_bytes()))
        except (OSError, ValueError, zlib.error):
            return None

    def put(self, name: str, document: Any) -> None:
        """Keep a document."""
        content = zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)
        with suppress(OSError):
            self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        self._root.mkdir(mode=0o700, exist_ok=True)
        path = self._root / name
        new = not path.exists()
        handle, draft = tempfile.mkstemp(prefix=".new-", dir=self._root)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise
        if new:
            self._trim()

    def _trim(self) -> None:
        found = sorted(self._root.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in found[: max(0, len(found) - self._most)]:
            path.unlink(missing_ok=True)
