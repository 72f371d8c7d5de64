"""Tokens: a GraphQL text cut by one regular expression, and what string tokens say.

Source: GraphQL spec (October 2021) section 2.1.
"""

import json
import re

from pipelines.engine.errors import QueryError

__all__ = ["Tokens", "block", "string"]

_TOKEN = re.compile(
    r"""[\s,\ufeff]*(?:\#[^\n\r]*[\s,\ufeff]*)*
    (?:(?P<punctuation>\.\.\.|[!$&()\[\]{}:=@|])
    |(?P<name>[_A-Za-z][_0-9A-Za-z]*)
    |(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<block>\"\"\"(?:[^"\\]|\\\"\"\"|\\|"(?!""))*\"\"\")
    |(?P<string>"[^"\\\n\r]*(?:\\.[^"\\\n\r]*)*")
    |(?P<end>\Z))""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|.)")
_LAST_CHARACTER = 0x10FFFF


class Tokens:
    """One pass over a text; `kind` and `value` are the token at hand, `kind` "end" the end."""

    __slots__ = ("_at", "_start", "_text", "kind", "value")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._start = 0
        self.kind = ""
        self.value = ""
        self.next()

    def next(self) -> None:
        """Go to the next token.

        Raises:
            QueryError: there is something that is none.
        """
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            self.kind, self.value, self._start = "", self._text[self._at : self._at + 20], self._at
            raise self.unexpected("a GraphQL token")
        self.kind = match.lastgroup
        self.value = match[self.kind]
        self._start, self._at = match.start(self.kind), match.end()

    def is_mark(self, mark: str) -> bool:
        """Tell whether the token at hand is this punctuation."""
        return self.value == mark and self.kind == "punctuation"

    def mark(self, mark: str) -> None:
        """Pass this punctuation."""
        if not self.is_mark(mark):
            raise self.unexpected(repr(mark))
        self.next()

    def name(self) -> str:
        """Pass a name and give it."""
        if self.kind != "name":
            raise self.unexpected("a name")
        value = self.value
        self.next()
        return value

    def unexpected(self, wanted: str) -> QueryError:
        """Say what was wanted, what was found, and where (line and column from 1)."""
        line = self._text.count("\n", 0, self._start) + 1
        column = self._start - self._text.rfind("\n", 0, self._start)
        found = repr(self.value[:40]) if self.kind != "end" else "the end of the query"
        return QueryError(f"syntax error at {line}:{column}: expected {wanted}, found {found}")


def string(value: str) -> str:
    """Read a string token: quotes off, escapes read.

    Raises:
        QueryError: an escape is not one.
    """
    if "\\" not in value:
        return value[1:-1]
    try:
        # A GraphQL string is a JSON string but for `\\u{…}` and raw control characters.
        return str(json.loads(_ESCAPE.sub(_json_escape, value), strict=False))
    except ValueError as exc:
        raise QueryError(f"syntax error in a string: {exc}") from exc


def block(value: str) -> str:
    """Read a block string token."""
    return _dedent(value[3:-3].replace('\\"""', '"""'))


def _json_escape(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[0]
    point = int(match[1], 16)
    if point > _LAST_CHARACTER:
        raise QueryError(f"syntax error in a string: no character {match[0]}")
    return json.dumps(chr(point))[1:-1]


def _dedent(raw: str) -> str:
    """Take the common indentation off a block string (GraphQL spec, BlockStringValue)."""
    lines = re.split(r"\r\n|[\n\r]", raw)
    indents = [len(x) - len(x.lstrip(" \t")) for x in lines[1:] if x.strip(" \t")]
    common = min(indents, default=0)
    lines[1:] = [line[common:] for line in lines[1:]]
    while lines and not lines[0].strip(" \t"):
        lines.pop(0)
    while lines and not lines[-1].strip(" \t"):
        lines.pop()
    return "\n".join(lines)
