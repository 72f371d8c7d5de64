"""Tell a full disk from other failures, and find room for the last words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.engine.errors import StoreFull

__all__ = ["full", "is_full"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(exc: BaseException) -> bool:
    """Whether an error says that there is no space, no inode or no quota left."""
    return isinstance(exc, OSError) and exc.errno in _FULL


@contextmanager
def full(what: str) -> Iterator[None]:
    """Turn "no space", "no inodes" and "quota exceeded" into `StoreFull`.

    `what` completes the sentence "no room to …".
    """
    try:
        yield
    except OSError as exc:
        if not is_full(exc):
            raise
        raise StoreFull(
            f"no room to {what}: {exc.strerror}; nothing that was recorded is lost. "
            "Make room with `pipelines cache prune`, or move the store with PIPELINES_CACHE_DIR"
        ) from exc
