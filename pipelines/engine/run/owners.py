"""Owners: "uid[:gid]" in numbers, or names looked up in a base's passwd and group files."""

from collections.abc import Callable

from pipelines.engine.errors import PathError
from pipelines.engine.tree.ops import Owner

__all__ = ["parse_owner"]

Read = Callable[[str], bytes]
_MAX_ID = 0xFFFFFFFE


def parse_owner(text: str, read: Read) -> Owner | None:
    """Parse an owner; "" is None, that is: keep what is there.

    A user without a group gets the group of the same number, as Docker's `COPY --chown` and
    Dagger have it. `read` gives a file's bytes, b"" if it is missing.

    Raises:
        PathError: a name that is not in the base's files, or a number that is no id.
    """
    if not text:
        return None
    user, colon, group = text.partition(":")
    uid = _number(user, text)
    if uid is None:
        row = _row(read("etc/passwd"), user, 4)
        if row is None:
            raise PathError(f"owner {text!r}: no user {user!r} in /etc/passwd; give a number")
        uid = int(row[2])
    if not colon or not group:
        return uid, uid
    gid = _number(group, text)
    if gid is None:
        row = _row(read("etc/group"), group, 3)
        if row is None:
            raise PathError(f"owner {text!r}: no group {group!r} in /etc/group; give a number")
        gid = int(row[2])
    return uid, gid


def _number(text: str, owner: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    if int(text) > _MAX_ID:
        raise PathError(f"owner {owner!r}: {text} is too large for an id")
    return int(text)


def _row(table: bytes, name: str, numbers_to: int) -> list[str] | None:
    """Find a line of a passwd or group file whose ids are numbers."""
    for line in table.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split(":")
        if fields[0] == name and all(f.isdigit() for f in fields[2:numbers_to]):
            return fields if len(fields) >= numbers_to else None
    return None
