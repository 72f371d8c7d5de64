"""File modes as chmod takes them: octal, or symbolic such as `u=rwX,go=rX`.

Source: POSIX chmod, with an empty umask; `X` is `x` for directories and for what somebody can
execute already.
"""

import re
from collections.abc import Callable

__all__ = ["parse"]

Change = Callable[[int, bool], int]

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": ("s", 0o4000), "g": ("s", 0o2000), "o": ("t", 0o1000)}
_BITS = {"r": 4, "w": 2, "x": 1}
_MOST = 0o7777


def parse(text: str) -> tuple[Change, int | None]:
    """Read a mode: what it makes of (mode, whether it is a directory), and its number, if any.

    Raises:
        ValueError: it is neither octal up to 7777 nor symbolic.
    """
    if re.fullmatch(r"[0-7]+", text) and int(text, 8) <= _MOST:
        number = int(text, 8)
        return lambda _mode, _is_dir: number, number
    clauses = [_CLAUSE.fullmatch(clause) for clause in text.split(",")]
    steps: list[tuple[str, str, str]] = []
    for clause in clauses:
        if clause is None:
            raise ValueError(f"{text!r} is no mode: write it like 755 or u=rwX,go=rX")
        who = "ugo" if not clause[1] or "a" in clause[1] else clause[1]
        steps += [(who, action[1], action[2]) for action in _ACTION.finditer(clause[2])]

    def change(mode: int, is_dir: bool) -> int:
        for who, sign, permissions in steps:
            mode = _step(mode, is_dir, who, sign, permissions)
        return mode

    return change, None


def _step(mode: int, is_dir: bool, who: str, sign: str, permissions: str) -> int:
    bits = mask = 0
    for one in dict.fromkeys(who):
        shift = _SHIFT[one]
        bits |= _permissions(mode, is_dir, permissions) << shift
        mask |= 7 << shift
        letter, special = _SPECIAL[one]
        mask |= special
        bits |= special if letter in permissions else 0
    if sign == "+":
        return mode | bits
    return mode & ~bits if sign == "-" else (mode & ~mask) | bits


def _permissions(mode: int, is_dir: bool, permissions: str) -> int:
    if permissions in _SHIFT:
        return (mode >> _SHIFT[permissions]) & 7
    bits = sum(_BITS[one] for one in set(permissions) & set(_BITS))
    if "X" in permissions and (is_dir or mode & 0o111):
        bits |= 1
    return bits
