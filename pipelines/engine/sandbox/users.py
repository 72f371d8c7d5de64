"""A container's user, looked up in the container's own files.

The forms are Docker's: "", "name", "uid", "name:group", "uid:gid" and their mixtures. A number
that /etc/passwd does not know is a user all the same, with group 0 and no home of its own; a
name that it does not know is an error. As Docker does, a group that is named replaces the
supplementary groups, and an all-digits name that /etc/passwd knows as a name is that user.
"""

from dataclasses import dataclass

from pipelines.engine.errors import SandboxError

__all__ = ["User", "resolve"]

_LARGEST = 2**32 - 2  # the largest number is the kernel's "no id"


@dataclass(frozen=True, slots=True)
class User:
    """Ids, supplementary groups in ascending order, and the home directory."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: frozenset[str]


def resolve(user: str, passwd: bytes, group: bytes) -> User:
    """Look up a user string in the contents of /etc/passwd and /etc/group.

    Lines that are not well-formed are passed over, as the C library does.

    Raises:
        SandboxError: a name is not in the files, or a number is no possible id.
    """
    name, _, group_name = user.partition(":")
    account = _account(name or "0", _accounts(passwd))
    groups = _groups(group)
    if group_name:
        return User(account.uid, _group_id(group_name, groups), (), account.home)
    own = {entry.gid for entry in groups if account.name and account.name in entry.members}
    return User(account.uid, account.gid, tuple(sorted(own - {account.gid})), account.home)


def _account(name: str, accounts: list[_Account]) -> _Account:
    for account in accounts:
        if account.name == name:
            return account
    if not _is_number(name):
        raise SandboxError(
            f"running a command as user {name!r}: the container's /etc/passwd has no such user; "
            "add it in the image, or give a numeric id"
        )
    uid = _checked(name, "user")
    for account in accounts:
        if account.uid == uid:
            return account
    return _Account("", uid, 0, "/root" if uid == 0 else "/")


def _group_id(name: str, groups: list[_Group]) -> int:
    for group in groups:
        if group.name == name:
            return group.gid
    if not _is_number(name):
        raise SandboxError(
            f"running a command with group {name!r}: the container's /etc/group has no such "
            "group; add it in the image, or give a numeric id"
        )
    return _checked(name, "group")


def _checked(number: str, kind: str) -> int:
    value = int(number)
    if value > _LARGEST:
        raise SandboxError(
            f"running a command with {kind} id {number}: ids are at most {_LARGEST} on Linux"
        )
    return value


def _accounts(passwd: bytes) -> list[_Account]:
    return [
        _Account(fields[0], int(fields[2]), int(fields[3]), fields[5] or "/")
        for fields in _rows(passwd)
        if len(fields) >= 6 and _is_number(fields[2]) and _is_number(fields[3])  # noqa: PLR2004
    ]


def _groups(group: bytes) -> list[_Group]:
    found = []
    for fields in _rows(group):
        if len(fields) >= 3 and _is_number(fields[2]):  # noqa: PLR2004
            members = fields[3].split(",") if len(fields) > 3 else []  # noqa: PLR2004
            found.append(_Group(fields[0], int(fields[2]), frozenset(members)))
    return found


def _rows(content: bytes) -> list[list[str]]:
    text = content.decode("utf-8", "surrogateescape")
    lines = (line.strip() for line in text.splitlines())
    return [line.split(":") for line in lines if line and not line.startswith("#")]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
