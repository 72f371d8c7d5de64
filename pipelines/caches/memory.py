"""What a machine remembers of heads, so that an old one can not be put back.

A head carries a number that only grows. The highest number seen is kept for each backend,
scope and key; a head with a lower one was replaced before and is put back by somebody. A backend
that was emptied begins again with 1: that is believed when the head was also *made* clearly later
than the one remembered. A runner that starts fresh remembers nothing: there, the expiry in the
head bounds how old a head can be put back.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from pipelines.caches.errors import Untrusted
from pipelines.caches.trust import SKEW, Claim

__all__ = ["Memory"]


@dataclass(frozen=True, slots=True)
class _Seen:
    number: int
    made: float


class Memory:
    """Remembers heads of one backend in a directory; None remembers within the process only."""

    def __init__(self, directory: Path | None, url: str) -> None:
        self._directory = directory
        self._url = url
        self._own: dict[tuple[str, str], _Seen] = {}

    def check(self, claim: Claim) -> None:
        """Refuse a head that is older than one that was seen.

        Raises:
            Untrusted: it was put back.
        """
        seen = self._seen(claim.scope, claim.key)
        if seen is None or claim.number >= seen.number or claim.made > seen.made + SKEW:
            return
        raise Untrusted(
            f"its number is {claim.number}, and {seen.number} was seen: it was put back"
        )

    def number(self, scope: str, key: str) -> int:
        """Give the highest number seen."""
        seen = self._seen(scope, key)
        return seen.number if seen else 0

    def note(self, claim: Claim) -> None:
        """Remember a head that was verified; a memory that can not be kept costs nothing more."""
        seen = self._seen(claim.scope, claim.key)
        if seen is not None and seen.number >= claim.number and claim.made <= seen.made + SKEW:
            return
        self._own[claim.scope, claim.key] = _Seen(claim.number, claim.made)
        if self._directory is None:
            return
        path = self._path(claim.scope, claim.key)
        part = path.with_name(f"{path.name}.{token_hex(4)}")
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({"number": claim.number, "made": claim.made}))
            part.replace(path)

    def _seen(self, scope: str, key: str) -> _Seen | None:
        found = [each for each in (self._own.get((scope, key)), self._kept(scope, key)) if each]
        return max(found, key=lambda each: each.made, default=None)

    def _kept(self, scope: str, key: str) -> _Seen | None:
        if self._directory is None:
            return None
        try:
            row = json.loads(self._path(scope, key).read_bytes())
            return _Seen(int(row["number"]), float(row["made"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _path(self, scope: str, key: str) -> Path:
        assert self._directory is not None
        text = f"{self._url}\0{scope}\0{key}".encode("utf-8", "surrogatepass")
        return self._directory / hashlib.sha256(text).hexdigest()[:40]
