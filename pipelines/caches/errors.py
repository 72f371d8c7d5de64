"""What can be wrong with a travelling cache.

    CacheError
    ├── Missing        the backend has no such object
    ├── Conflict       somebody else was first: read again and merge
    ├── Damaged        bytes are not what their name says, or make no sense
    ├── Untrusted      no signature, a wrong one, an old head, a scope that may not be written
    ├── TooNew         written by a newer version of the format
    ├── Unavailable    the backend does not answer, refuses, or is full
    └── OverBudget     the time or the bytes that a cache may cost are spent

A cache never changes a verdict: who builds takes each of these for a miss and says so once.
"""

__all__ = [
    "CacheError",
    "Conflict",
    "Damaged",
    "Missing",
    "OverBudget",
    "TooNew",
    "Unavailable",
    "Untrusted",
]


class CacheError(Exception):
    """Something is wrong with a travelling cache."""


class Missing(CacheError):
    """The backend has no object of this name."""


class Conflict(CacheError):
    """The object is not, or no longer, what the writer believed it to be."""


class Damaged(CacheError):
    """Bytes are not what their name says they are, or can not be understood."""


class Untrusted(CacheError):
    """A head is not signed as it must be, was replayed, or is of a scope out of bounds."""


class TooNew(CacheError):
    """The format's version is newer than what this version reads."""


class Unavailable(CacheError):
    """The backend does not answer, refuses the credentials, or has no room."""


class OverBudget(CacheError):
    """What a cache may cost in time or bytes is spent."""
