"""Extended attributes and times of files in layers: which belong to an image, and setting them."""

import errno
import os
from collections.abc import Mapping

from pipelines.engine.errors import ImageError

__all__ = ["belongs", "get_attributes", "set_attributes", "stamp"]

_SYSTEM = frozenset(("security.capability", "system.posix_acl_access", "system.posix_acl_default"))
_UNSUPPORTED = frozenset((errno.ENOTSUP, errno.EOPNOTSUPP))
_LATEST = (1 << 34) - 1  # the last second that ext4 can keep


def belongs(name: str) -> bool:
    """Tell whether an attribute is part of an image: never overlayfs's own bookkeeping."""
    return name in _SYSTEM or (name.startswith("user.") and not name.startswith("user.overlay."))


def set_attributes(descriptor: int, attributes: Mapping[str, bytes]) -> None:
    """Set the attributes that belong to an image.

    File systems without attributes lose them, as does who may not set capabilities.

    Raises:
        ImageError: the kernel refuses one.
    """
    for name in sorted(filter(belongs, attributes)):
        try:
            os.setxattr(descriptor, name, attributes[name])
        except OSError as exc:
            unprivileged = exc.errno == errno.EPERM and os.geteuid() != 0
            if exc.errno not in _UNSUPPORTED and not unprivileged:
                raise ImageError(f"setting the attribute {name}: {exc.strerror}") from exc


def get_attributes(path: bytes) -> dict[str, bytes]:
    """Read the attributes of a path that belong to an image; the path is not followed."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as exc:
        if exc.errno in _UNSUPPORTED:
            return {}
        raise
    return {n: os.getxattr(path, n, follow_symlinks=False) for n in names if belongs(n)}


def stamp(descriptor: int, mtime: int) -> None:
    """Set both times to nanoseconds, as near as the file system can keep them."""
    when = max(-(1 << 31), min(mtime // 1_000_000_000, _LATEST)) * 1_000_000_000
    when = mtime if when // 1_000_000_000 == mtime // 1_000_000_000 else when
    os.utime(descriptor, ns=(when, when))
