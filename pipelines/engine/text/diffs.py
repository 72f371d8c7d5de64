"""Patches as git writes them: from two sides of every file to text.

Source: git's documentation, "Generating patch text with -p" and gitformat; binary contents are
written as `git diff --binary` does, whole ("literal"), which `git apply` reads back.
"""

import hashlib
import zlib
from base64 import b85encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.engine.text import lines

__all__ = ["LINK", "FileDiff", "Side", "counted", "is_binary", "object_id", "quoted", "render"]

LINK = 0o120000
CONTEXT = 3
_HEAD = 8000
_BINARY_LINE = 52


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a file: git's mode (0o100644, 0o100755, 0o120000) and its bytes."""

    path: str
    mode: int
    data: bytes


@dataclass(frozen=True, slots=True)
class FileDiff:
    """A file before and after; None where it is not. Two paths are a rename."""

    old: Side | None
    new: Side | None


def is_binary(data: bytes) -> bool:
    """Tell whether contents are shown as bytes: git looks for NUL at the beginning."""
    return b"\0" in data[:_HEAD]


def object_id(data: bytes) -> str:
    """Name contents as git does."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def counted(diff: FileDiff) -> tuple[int, int]:
    """Count the lines that were added and removed; binary contents have none."""
    old, new = (side.data if side else b"" for side in (diff.old, diff.new))
    if is_binary(old) or is_binary(new):
        return 0, 0
    changes = lines.changed(lines.split(old), lines.split(new))
    return sum(v - u for _, _, u, v in changes), sum(t - s for s, t, _, _ in changes)


def render(diffs: Iterable[FileDiff]) -> bytes:
    """Write a patch."""
    return b"".join(piece for diff in diffs for one in _typed(diff) for piece in _file(one))


def _typed(diff: FileDiff) -> Sequence[FileDiff]:
    """Let a file that becomes a link, or the other way round, go and come."""
    old, new = diff.old, diff.new
    if old is None or new is None or (old.mode == LINK) is (new.mode == LINK):
        return (diff,)
    return FileDiff(old, None), FileDiff(None, new)


def _file(diff: FileDiff) -> Iterator[bytes]:
    old, new = diff.old, diff.new
    shown = [side.path for side in (old or new, new or old) if side is not None]
    yield f"diff --git {quoted('a/' + shown[0])} {quoted('b/' + shown[1])}\n".encode()
    before, after = (side.data if side else b"" for side in (old, new))
    yield "".join(_modes(old, new)).encode()
    if old is not None and new is not None and before == after:
        return
    names = [object_id(side.data) if side else "0" * 40 for side in (old, new)]
    same = f" {new.mode:o}" if old is not None and new is not None and old.mode == new.mode else ""
    yield f"index {names[0]}..{names[1]}{same}\n".encode()
    if is_binary(before) or is_binary(after):
        yield b"GIT binary patch\n" + _literal(after) + _literal(before)
    elif before != after:
        yield f"--- {_named('a/', old)}\n+++ {_named('b/', new)}\n".encode()
        yield from _hunks(lines.split(before), lines.split(after))


def _modes(old: Side | None, new: Side | None) -> Iterator[str]:
    if old is None and new is not None:
        yield f"new file mode {new.mode:o}\n"
    elif new is None and old is not None:
        yield f"deleted file mode {old.mode:o}\n"
    elif old is not None and new is not None:
        if old.mode != new.mode:
            yield f"old mode {old.mode:o}\nnew mode {new.mode:o}\n"
        if old.path != new.path:
            yield f"rename from {quoted(old.path)}\nrename to {quoted(new.path)}\n"


def _named(prefix: str, side: Side | None) -> str:
    if side is None:
        return "/dev/null"
    name = quoted(prefix + side.path)
    # A blank in a name would be read as the beginning of a time.
    return name + "\t" if " " in name and not name.startswith('"') else name


def quoted(name: str) -> str:
    """Spell a path as git does: in C quotes if there is anything unusual in it."""
    raw = name.encode("utf-8", "surrogateescape")
    short = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
    if all(32 <= byte < 127 and byte not in short for byte in raw):  # noqa: PLR2004 - printable
        return name
    made = (
        "\\" + short[byte]
        if byte in short
        else chr(byte)
        if 32 <= byte < 127  # noqa: PLR2004
        else f"\\{byte:03o}"
        for byte in raw
    )
    return '"' + "".join(made) + '"'


def _hunks(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[bytes]:
    """Write the changes with the lines around them; near ones share a hunk."""
    changes = lines.changed(old, new)
    while changes:
        count = 1
        while count < len(changes) and changes[count][0] - changes[count - 1][1] <= 2 * CONTEXT:
            count += 1
        yield _hunk(old, new, changes[:count])
        changes = changes[count:]


def _hunk(old: Sequence[bytes], new: Sequence[bytes], changes: Sequence[lines.Change]) -> bytes:
    begin = max(0, changes[0][0] - CONTEXT)
    end = min(len(old), changes[-1][1] + CONTEXT)
    shift = changes[0][2] - changes[0][0]
    length = end - begin + sum((v - u) - (t - s) for s, t, u, v in changes)
    head = f"@@ -{_range(begin, end - begin)} +{_range(begin + shift, length)} @@\n"
    made, at = [head.encode()], begin
    for s, t, u, v in changes:
        made += [_line(b" ", one) for one in old[at:s]]
        made += [_line(b"-", one) for one in old[s:t]]
        made += [_line(b"+", one) for one in new[u:v]]
        at = t
    made += [_line(b" ", one) for one in old[at:end]]
    return b"".join(made)


def _range(begin: int, count: int) -> str:
    """Spell a range of lines: counted from 1, but an empty one names the line before it."""
    first = begin + 1 if count else begin
    return str(first) if count == 1 else f"{first},{count}"


def _line(sign: bytes, line: bytes) -> bytes:
    return (
        sign + line if line.endswith(b"\n") else sign + line + b"\n\\ No newline at end of file\n"
    )


def _literal(data: bytes) -> bytes:
    """Write bytes: deflated, 52 to a line, each line begun with its length as a letter."""
    packed = zlib.compress(data)
    made = [b"literal %d\n" % len(data)]
    for at in range(0, len(packed), _BINARY_LINE):
        chunk = packed[at : at + _BINARY_LINE]
        size = len(chunk)
        letter = chr(ord("A") + size - 1) if size <= 26 else chr(ord("a") + size - 27)  # noqa: PLR2004
        made.append(letter.encode() + b85encode(chunk, pad=True) + b"\n")
    return b"".join(made) + b"\n"
