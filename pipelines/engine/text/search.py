r"""Looking for a pattern in texts, line by line, as ripgrep does.

Theory of operation
    Patterns are those of Rust's `regex`, which ripgrep uses, as far as Python's `re` says the
    same: what is spelled otherwise is translated (`\z`, `(?<name>…)`, `[[:alpha:]]`), what Rust
    does not have (look-around, back-references) is refused, so that no pattern works here and
    fails on the Dagger engine, and what Python does not have (`\p{…}`, `&&` in a class) is
    refused with that reason.

    Without `multiline` every line is a text of its own and "^" and "$" are its ends. With it
    the file is one text; lines of matches that touch one another are one hit. Offsets count
    bytes of UTF-8. A line that is not UTF-8 is passed over.

Source: ripgrep's guide and `grep-printer`'s JSON documentation; dagger `core/search.go`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.engine.errors import QueryError

__all__ = ["Hit", "Part", "Search", "compiled", "hits", "translated"]

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_NAMED = re.compile(r"\[:(\^?)([a-z]+):\]")
_CODE = re.compile(r"\\[xuU]\{([0-9A-Fa-f]{1,6})\}")
_LOOKS = ("(?=", "(?!", "(?<=", "(?<!")
_ONLY_PYTHON = ("(?P=", "(?(", "(?#", "(?>")


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, and in which of a tree's files."""

    pattern: str
    literal: bool = False
    multiline: bool = False
    dotall: bool = False
    insensitive: bool = False
    skip_ignored: bool = False
    skip_hidden: bool = False
    files_only: bool = False
    limit: int | None = None
    paths: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A match, in bytes from the beginning of its hit."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches, or several of one match; `offset` is in bytes from the file's start."""

    path: str
    line: int = 0
    offset: int = 0
    text: str = ""
    parts: tuple[Part, ...] = ()


def compiled(search: Search) -> re.Pattern[str]:
    """Compile the pattern.

    Raises:
        QueryError: it is not one that both engines understand; says why.
    """
    if not search.multiline and (search.literal and "\n" in search.pattern):
        raise QueryError(
            "search: the pattern has a line break; set multiline to match across lines"
        )
    flags = re.MULTILINE
    flags |= re.IGNORECASE if search.insensitive else 0
    flags |= re.DOTALL if search.dotall and search.multiline else 0
    pattern = re.escape(search.pattern) if search.literal else translated(search.pattern)
    try:
        return re.compile(pattern, flags)
    except re.error as exc:
        raise QueryError(f"search: pattern {search.pattern!r}: {exc}") from exc


def translated(pattern: str) -> str:
    """Spell a pattern of Rust's as one of Python's.

    Raises:
        QueryError: it can not be said in both.
    """
    return "".join(_Translation(pattern).pieces())


class _Translation:
    """One pattern on its way."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def pieces(self) -> Iterator[str]:
        """Yield the translated pattern, piece by piece."""
        while self._at < len(self._pattern):
            char = self._pattern[self._at]
            if char == "\\":
                yield self._escape(inside=False)
            elif char == "[":
                yield self._set()
            elif self._pattern.startswith("(?", self._at):
                yield self._group()
            else:
                self._at += 1
                yield char

    def _escape(self, *, inside: bool) -> str:
        """Translate a backslash and what belongs to it."""
        code = _CODE.match(self._pattern, self._at)
        if code:
            self._at = code.end()
            return re.escape(chr(min(int(code[1], 16), 0x10FFFF)))
        pair = self._pattern[self._at : self._at + 2]
        self._at += 2
        if pair in {r"\p", r"\P"}:
            raise self._bad("Unicode classes are not known here; spell the characters out, or \\w")
        if pair[1:].isdigit():
            raise self._bad("back-references are not known to the Dagger engine")
        if not inside and pair in {r"\z", r"\<", r"\>"}:
            return {r"\z": r"\Z", r"\<": r"\b(?=\w)", r"\>": r"\b(?<=\w)"}[pair]
        if pair == r"\Z":
            raise self._bad(r"\Z is not known to the Dagger engine; write \z")
        return pair

    def _group(self) -> str:
        """Translate the beginning of a group with a question mark."""
        rest = self._pattern[self._at :]
        if rest.startswith(_LOOKS):
            raise self._bad("look-around is not known to the Dagger engine")
        if rest.startswith(_ONLY_PYTHON):
            raise self._bad(f"{rest[:4]!r} is not known to the Dagger engine")
        named = rest.startswith("(?<")
        self._at += 3 if named else 2
        return "(?P<" if named else "(?"

    def _set(self) -> str:
        """Translate a set of characters."""
        begin = self._at
        made = "["
        self._at += 1
        if self._pattern.startswith("^", self._at):
            made, self._at = "[^", self._at + 1
        if self._pattern.startswith("]", self._at):
            made, self._at = made + r"\]", self._at + 1
        while self._at < len(self._pattern):
            char = self._pattern[self._at]
            if char == "]":
                self._at += 1
                return made + "]"
            made += self._member(char)
        self._at = begin
        raise self._bad("a [ is not closed")

    def _member(self, char: str) -> str:
        named = _NAMED.match(self._pattern, self._at)
        if named and named[2] in _CLASSES and not named[1]:
            self._at = named.end()
            return _CLASSES[named[2]]
        if char == "[" or self._pattern[self._at : self._at + 2] in {"&&", "--", "~~"}:
            raise self._bad("sets in sets are not known here; write one set")
        if char == "\\":
            return self._escape(inside=True)
        self._at += 1
        return char

    def _bad(self, why: str) -> QueryError:
        return QueryError(f"search: pattern {self._pattern!r}: {why}")


def hits(expression: re.Pattern[str], path: str, data: bytes, *, multiline: bool) -> Iterator[Hit]:
    """Yield what matches in a file, in its order."""
    text = data.decode("utf-8", "surrogateescape")
    line = offset = at = 0
    for start, end, spans in _blocks(expression, text) if multiline else _lines(expression, text):
        between = text[at:start]
        line, offset, at = line + between.count("\n"), offset + _width(between), start
        block = text[start:end]
        if _is_utf8(block):
            yield Hit(path, line + 1, offset, block, tuple(_part(block, *span) for span in spans))


Block = tuple[int, int, list[tuple[int, int]]]
"""Where some lines begin and end in a text, and the matches in them, from their beginning."""


def _lines(expression: re.Pattern[str], text: str) -> Iterator[Block]:
    """Match every line by itself."""
    start = 0
    for line in text.split("\n"):
        end = start + len(line) + 1
        spans = [match.span() for match in expression.finditer(line)]
        if spans and start < len(text):
            yield start, end, spans
        start = end


def _blocks(expression: re.Pattern[str], text: str) -> Iterator[Block]:
    """Match the text as a whole; lines of matches that touch one another become one block."""
    start, end = 0, -1
    spans: list[tuple[int, int]] = []
    for match in expression.finditer(text):
        first, last = match.span()
        if first == len(text) and not text[first - 1 : first].strip("\n"):
            continue
        begin = text.rfind("\n", 0, first) + 1
        if begin > end:
            if spans:
                yield start, end, spans
            start, spans = begin, []
        ended = last > begin and text[last - 1] == "\n"
        end = max(end, last if ended else (text.find("\n", last) + 1 or len(text)))
        spans.append((first - start, last - start))
    if spans:
        yield start, end, spans


def _part(block: str, start: int, end: int) -> Part:
    at = _width(block[:start])
    text = block[start:end]
    return Part(text, at, at + _width(text))


def _width(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= char <= "\udcff" for char in text)
