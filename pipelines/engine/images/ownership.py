"""Who may own unpacked files: what the session's user namespace can express.

As root of a namespace with ranges of ids, files keep the owners of the archive; an id
outside the ranges is an error. With a single id, or without privileges, all belong to it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.engine.errors import ImageError

__all__ = ["Ownership", "current"]

_MANY = 2


@dataclass(frozen=True, slots=True)
class Ownership:
    """Ranges of (first, count) of the ids that exist here; empty if owners are not kept."""

    uids: tuple[tuple[int, int], ...] = ()
    gids: tuple[tuple[int, int], ...] = ()

    def give(self, uid: int, gid: int, chown: Callable[[int, int], None]) -> None:
        """Set an owner where owners are kept.

        Raises:
            ImageError: the id does not exist here.
        """
        if not self.uids:
            return
        if not (_within(uid, self.uids) and _within(gid, self.gids)):
            raise ImageError(
                f"a file belongs to {uid}:{gid}, and this user namespace has no such id; "
                "run as root, or widen the ranges in /etc/subuid and /etc/subgid"
            )
        chown(uid, gid)


def _within(number: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    for first, count in ranges:  # noqa: SIM110 - asked for every file: a generator is slow
        if first <= number < first + count:
            return True
    return False


def current() -> Ownership:
    """Read what this process may do."""
    if os.geteuid() != 0:
        return Ownership()
    uids, gids = _ranges("uid"), _ranges("gid")
    if sum(c for _, c in uids) < _MANY or sum(c for _, c in gids) < _MANY:
        return Ownership()
    return Ownership(uids, gids)


def _ranges(kind: str) -> tuple[tuple[int, int], ...]:
    try:
        with open(f"/proc/self/{kind}_map") as file:
            rows = [line.split() for line in file]
    except OSError:  # no /proc: assume the initial namespace
        return ((0, 1 << 32),)
    return tuple((int(row[0]), int(row[2])) for row in rows)
