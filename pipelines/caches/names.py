"""Names of objects: what one may look like, and how any text becomes a part of one.

    check("packs/ab12…")           is a name that every backend can hold, or Damaged
    encode("branch/Größe")         branch_2f_47r_c3_b6_c3_9fe

Theory of operation
    Branches, keys and pull requests are named by people, some of whom mean harm. `encode` maps
    different texts to different parts, and every part is of `[a-z0-9-_]` alone: so no text can
    climb (`..`), reach into a neighbour (`/`), hide (a leading dot), or meet another one on a file
    system that folds case or composes accents. What is not a lower-case letter, a digit or `-`
    is written `_xx` a byte. `_` itself is written so, hence `__` is free to mark a long text:
    its beginning, `__`, and a digest of the whole.

    A head is read by its exact name, never by the beginning of one: there are no prefixes to
    collide with.
"""

import hashlib
import re

from pipelines.caches.errors import Damaged

__all__ = ["LONGEST", "check", "encode"]

LONGEST = 512
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_ENCODED, _KEPT = 100, 66


def check(name: str) -> str:
    """Give the name back if it is one.

    Raises:
        Damaged: it is none: empty, too long, with `..` or other parts that begin with a dot.
    """
    if len(name) > LONGEST or not all(_PART.fullmatch(part) for part in name.split("/")):
        raise Damaged(f"{name[:LONGEST]!r} is not the name of an object in a cache")
    return name


def encode(text: str) -> str:
    """Write any text, but not an empty one, as one part of a name; different texts differ."""
    if not text:
        raise ValueError("an empty text names nothing")
    raw = text.encode("utf-8", "surrogatepass")
    written = "".join(chr(each) if each in _PLAIN else f"_{each:02x}" for each in raw)
    if len(written) <= _ENCODED:
        return written
    return f"{written[:_KEPT]}__{hashlib.sha256(raw).hexdigest()[:32]}"
