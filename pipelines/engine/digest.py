"""Digests: the only names that the engine gives to content.

Everything that is compared, keyed or stored is named by sha-256. A digest is a parsed
type, so a path, a key and a file name can not be mistaken for one another.
"""

import hashlib
import json
import re
from typing import Any

__all__ = ["Digest", "canonical", "digest_bytes", "digest_json"]

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


class Digest(str):
    """`sha256:<64 lower-case hex digits>`, as OCI spells it."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Check the spelling of a digest that came from outside.

        Raises:
            ValueError: the text is not a sha-256 digest.
        """
        if not _PATTERN.fullmatch(text):
            raise ValueError(f"not a sha256 digest: {text!r}")
        return cls(text)

    @classmethod
    def of_hex(cls, hexadecimal: str) -> "Digest":
        """Name a digest by its 64 hex digits."""
        return cls("sha256:" + hexadecimal)

    @property
    def hex(self) -> str:
        """The 64 hex digits."""
        return self[7:]


def canonical(value: Any) -> bytes:
    """Encode a JSON value so that equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def digest_bytes(data: bytes) -> Digest:
    """Digest bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def digest_json(value: Any) -> Digest:
    """Digest a JSON value by its canonical form."""
    return digest_bytes(canonical(value))
