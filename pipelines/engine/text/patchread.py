"""Patches as text: what `git apply` takes, in parts.

Plain unified diffs and git's, with their extended headers: new, deleted and renamed files, modes
and binary contents (whole or as a delta). Names lose their first directory (`a/`, `b/`).

Source: git's documentation, "Generating patch text with -p", and of `git apply`.
"""

import re
import zlib
from base64 import b85decode

from pipelines.engine.errors import QueryError
from pipelines.engine.text.lines import split
from pipelines.engine.text.patches import Binary, FilePatch, Hunk

__all__ = ["read"]

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_OCTAL = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13}
_NOTHING = "/dev/null"


def read(data: bytes) -> list[FilePatch]:
    """Read a patch; text that is none is passed over.

    Raises:
        QueryError: a part of it can not be read; says which line.
    """
    return _Reader(data).files()


class _Reader:
    """A patch being read, line by line."""

    def __init__(self, data: bytes) -> None:
        self._lines = split(data)
        self._at = 0

    def files(self) -> list[FilePatch]:
        """Read all files."""
        found: list[FilePatch] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.startswith(b"diff --git "):
                found.append(self._git())
            elif self._plain_begins():
                patch = FilePatch(self._at + 1)
                self._names(patch, strip_times=True)
                self._contents(patch)
                found.append(patch)
            elif _HUNK.match(line):
                raise self._bad("a hunk without the name of a file (--- and +++ lines)")
            else:
                self._at += 1
        return found

    def _plain_begins(self) -> bool:
        here = self._lines[self._at : self._at + 3]
        starts = (b"--- ", b"+++ ", b"@@ -")
        return len(here) == len(starts) and all(map(bytes.startswith, here, starts))

    def _git(self) -> FilePatch:
        patch = FilePatch(self._at + 1)
        self._both(patch, self._lines[self._at][11:].rstrip(b"\r\n"))
        self._at += 1
        while self._at < len(self._lines) and self._extended(patch):
            self._at += 1
        if self._at < len(self._lines) and self._lines[self._at].startswith(b"--- "):
            self._names(patch, strip_times=False)
        self._contents(patch)
        return patch

    def _both(self, patch: FilePatch, text: bytes) -> None:
        """Take the names of the first line: the same twice, unless other lines say them."""
        if text.startswith(b'"'):
            name, rest = _unquoted(text)
            other = _unquoted(rest.strip())[0] if rest.strip().startswith(b'"') else rest.strip()
            patch.old, patch.new = _stripped(name), _stripped(other)
            return
        half = len(text) // 2
        same = _stripped(text[:half])
        if same == _stripped(text[half + 1 :]):
            patch.old = patch.new = same

    def _extended(self, patch: FilePatch) -> bool:
        """Read an extended header; False if the line is none."""
        line = self._lines[self._at].rstrip(b"\r\n")
        for words, take in _HEADERS.items():
            if line.startswith(words):
                try:
                    take(patch, line[len(words) :])
                except ValueError as exc:
                    raise self._bad(f"{line!r} can not be read") from exc
                return True
        return False

    def _names(self, patch: FilePatch, *, strip_times: bool) -> None:
        old, new = (_name(self._lines[self._at + at][4:], strip_times=strip_times) for at in (0, 1))
        if not self._lines[self._at + 1].startswith(b"+++ "):
            raise self._bad("a --- line without a +++ line after it")
        patch.old = None if old == _NOTHING else patch.old or old
        patch.new = None if new == _NOTHING else patch.new or new
        if strip_times and patch.old and patch.new:
            patch.old = patch.new = min(patch.old, patch.new, key=len)
        self._at += 2

    def _contents(self, patch: FilePatch) -> None:
        while self._at < len(self._lines) and (found := _HUNK.match(self._lines[self._at])):
            patch.hunks.append(self._hunk(found))
        if self._at < len(self._lines) and self._lines[self._at].startswith(b"GIT binary patch"):
            self._at += 1
            patch.binary = self._binary()
            if self._at < len(self._lines) and self._lines[self._at][:1] in {b"l", b"d"}:
                self._binary()
        elif self._at < len(self._lines) and self._lines[self._at].startswith(b"Binary files "):
            raise self._bad("the patch does not hold the bytes of a binary file; use --binary")
        if patch.old is None and patch.new is None:
            raise self._bad("no file is named", patch.line)

    def _hunk(self, found: re.Match[bytes]) -> Hunk:
        number = self._at + 1
        counts = [1 if found[at] is None else int(found[at]) for at in (2, 4)]
        old: list[bytes] = []
        new: list[bytes] = []
        signs = ""
        self._at += 1
        while len(old) < counts[0] or len(new) < counts[1]:
            line = self._lines[self._at] if self._at < len(self._lines) else b"?"
            sign, text = line[:1], line[1:]
            if sign == b"\n":  # some editors cut the blank off an empty line
                sign, text = b" ", b"\n"
            if sign not in {b" ", b"-", b"+"}:
                raise self._bad(f"the hunk of line {number} is cut off")
            self._at += 1
            if self._lines[self._at : self._at + 1] and self._lines[self._at].startswith(b"\\"):
                text = text.removesuffix(b"\n")
                self._at += 1
            old += [text] if sign != b"+" else []
            new += [text] if sign != b"-" else []
            signs += sign.decode()
        if len(old) != counts[0] or len(new) != counts[1]:
            raise self._bad(f"the hunk of line {number} has more lines than it says")
        trailing = len(signs) - len(signs.rstrip(" "))
        starts = int(found[1]), int(found[3])
        return Hunk(number, *starts, tuple(old), tuple(new), trailing)

    def _binary(self) -> Binary:
        """Read one side of a binary patch."""
        head = self._lines[self._at].split() if self._at < len(self._lines) else []
        if len(head) != 2 or head[0] not in {b"literal", b"delta"}:  # noqa: PLR2004 - kind, size
            raise self._bad("a binary patch is cut off")
        packed = b""
        self._at += 1
        try:
            while self._at < len(self._lines) and (line := self._lines[self._at].rstrip(b"\r\n")):
                letter = line[0]
                size = letter - 64 if letter < 97 else letter - 70  # noqa: PLR2004 - A-Z, a-z
                packed += b85decode(line[1:])[:size]
                self._at += 1
            data = zlib.decompress(packed)
        except (ValueError, zlib.error) as exc:
            raise self._bad("a binary patch is damaged") from exc
        self._at += 1
        if len(data) != int(head[1]):
            raise self._bad("a binary patch is of another size than it says")
        return Binary(data, head[0] == b"delta")

    def _bad(self, why: str, line: int | None = None) -> QueryError:
        return QueryError(f"patch: line {line or self._at + 1}: {why}")


def _set_new_file(patch: FilePatch, text: bytes) -> None:
    patch.old, patch.new_mode = None, int(text, 8)


def _set_deleted(patch: FilePatch, text: bytes) -> None:
    patch.new, patch.old_mode = None, int(text, 8)


def _set_old_mode(patch: FilePatch, text: bytes) -> None:
    patch.old_mode = int(text, 8)


def _set_new_mode(patch: FilePatch, text: bytes) -> None:
    patch.new_mode = int(text, 8)


def _set_from(patch: FilePatch, text: bytes) -> None:
    patch.old = _text(_unquoted(text)[0])


def _set_to(patch: FilePatch, text: bytes) -> None:
    patch.new = _text(_unquoted(text)[0])


def _set_copied(patch: FilePatch, text: bytes) -> None:
    _set_to(patch, text)
    patch.is_copy = True


def _set_index(patch: FilePatch, text: bytes) -> None:
    patch.old_id = text.partition(b"..")[0].decode("ascii")


def _pass(_patch: FilePatch, _text: bytes) -> None:
    """Take no notice: similarity is for people."""


_HEADERS = {
    b"new file mode ": _set_new_file,
    b"deleted file mode ": _set_deleted,
    b"old mode ": _set_old_mode,
    b"new mode ": _set_new_mode,
    b"rename from ": _set_from,
    b"rename to ": _set_to,
    b"copy from ": _set_from,
    b"copy to ": _set_copied,
    b"index ": _set_index,
    b"similarity index ": _pass,
    b"dissimilarity index ": _pass,
}


def _name(text: bytes, *, strip_times: bool) -> str:
    bare = text.rstrip(b"\r\n")
    if bare.startswith(b'"'):
        return _stripped(_unquoted(bare)[0])
    cut = bare.partition(b"\t")[0]
    cut = cut.rstrip() if strip_times else cut
    return _NOTHING if cut == _NOTHING.encode() else _stripped(cut)


def _stripped(name: bytes) -> str:
    """Take off the first directory."""
    _, slash, rest = name.partition(b"/")
    return _text(rest if slash else name)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _unquoted(text: bytes) -> tuple[bytes, bytes]:
    """Read a path that may stand in C quotes; give it and what follows."""
    if not text.startswith(b'"'):
        return text, b""
    end = 1
    while end < len(text) and text[end] != ord('"'):
        end += 2 if text[end] == ord("\\") else 1

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return (
            bytes([int(code, 8) & 0xFF]) if len(code) > 1 else bytes([_ESCAPES.get(code, code[0])])
        )

    return _OCTAL.sub(plain, text[1:end]), text[end + 1 :]
