"""Expansion: variables, quotes and escapes of a word, as a Dockerfile means them.

    $x ${x}             the value, nothing if there is none
    ${x:-w} ${x-w}      w if x is unset (with ":" also if it is empty)
    ${x:+w} ${x+w}      w if x is set (with ":": and not empty)
    ${x:?w} ${x?w}      an error that says w, if x is unset (with ":" also if it is empty)
    ${x#p} ${x##p}      without the shortest, longest prefix that matches p
    ${x%p} ${x%%p}      without the shortest, longest suffix that matches p
    ${x/p/r} ${x//p/r}  with the first, every match of p replaced

In patterns `*` is any text and `?` any character; there are no classes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Expansion", "ExpansionError", "expand", "expand_words"]

_NAME = re.compile(r"[0-9]+|[@*#?\-$!]|[^\W\d]\w*")


class ExpansionError(ValueError):
    """A word that can not be expanded; who knows the line says so to the user."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """How to expand. With `quotes` off, quotes are text as any other, as in a heredoc."""

    variables: Mapping[str, str]
    escape: str = "\\"
    quotes: bool = True

    def text(self, word: str) -> str:
        """Expand a word.

        Raises:
            ExpansionError: quotes or braces are not closed, an operator is unknown, or a
                variable must be set and is not.
        """
        return expand(word, self)

    def words(self, text: str) -> list[str]:
        """Expand a text and cut it at what white space is not quoted then."""
        return expand_words(text, self)


def expand(word: str, how: Expansion) -> str:
    """Expand one word."""
    return "".join(text for text, _ in _Scan(word, how).all())


def expand_words(text: str, how: Expansion) -> list[str]:
    """Expand and split; what came out of quotes is not split."""
    made: list[str] = []
    current = ""
    for piece, splits in _Scan(text, how).all():
        if not splits:
            current += piece
            continue
        for char in piece:
            if not char.isspace():
                current += char
            elif current:
                made.append(current)
                current = ""
    return [*made, current] if current else made


Piece = tuple[str, bool]


class _Scan:
    """One pass over a word. A piece is text, and whether white space in it separates words."""

    def __init__(self, text: str, how: Expansion) -> None:
        self._text = text
        self._how = how
        self._at = 0

    def all(self) -> list[Piece]:
        return self._until("", keep_escapes=False)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _until(self, stop: str, *, keep_escapes: bool) -> list[Piece]:
        """Read up to a character that is not quoted; "" is the end of the text."""
        pieces: list[Piece] = []
        while char := self._peek():
            if char == stop:
                self._at += 1
                return pieces
            if char == "$":
                pieces.append((self._dollar(), True))
            elif self._how.quotes and char == "'":
                pieces.append((self._single(), False))
            elif self._how.quotes and char == '"':
                pieces.append((self._double(), False))
            elif char == self._how.escape:
                self._at += 1
                escaped = self._next()
                pieces.append((char + escaped if keep_escapes else escaped, False))
            else:
                pieces.append((self._next(), True))
        if stop:
            raise ExpansionError(f"{self._text}: {stop!r} is missing")
        return pieces

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise ExpansionError(f"{self._text}: the quote ' is not closed")
        text = self._text[self._at + 1 : end]
        self._at = end + 1
        return text

    def _double(self) -> str:
        self._at += 1
        made = ""
        while char := self._peek():
            if char == '"':
                self._at += 1
                return made
            if char == "$":
                made += self._dollar()
                continue
            self._at += 1
            if char == self._how.escape and self._peek() in {'"', "$", self._how.escape}:
                char = self._next()
            made += char
        raise ExpansionError(f'{self._text}: the quote " is not closed')

    def _dollar(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._how.variables.get(name, "") if name else "$"
        self._at += 1
        name = self._name()
        if not name or name == "0":
            raise ExpansionError(f"{self._text}: no name follows ${{")
        return self._braces(name)

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _braces(self, name: str) -> str:
        operator = self._next()
        if not operator:
            raise ExpansionError(f"{self._text}: '}}' is missing")
        value = self._how.variables.get(name)
        if operator == "}":
            return value or ""
        if operator == "/":
            return self._replaced(value or "")
        strict = operator != ":"
        if not strict:
            operator = self._next()
        if operator in {"#", "%"} and strict:
            return _trimmed(value or "", operator, self._word(keep_escapes=True), self._text)
        if operator not in {"-", "+", "?"}:
            shown = operator if strict else ":" + operator
            raise ExpansionError(
                f"{self._text}: ${{{name}{shown}…}} is not known; there are :- - :+ + :? ? # % /"
            )
        word = self._word(keep_escapes=False)
        there = value is not None and (strict or value != "")
        if operator == "-":
            return (value or "") if there else word
        if operator == "+":
            return word if there else ""
        if not there:
            state = "unset" if value is None else "empty"
            raise ExpansionError(f"{name}: {word or f'it must not be {state}'}")
        return value or ""

    def _word(self, *, keep_escapes: bool, stop: str = "}") -> str:
        return "".join(text for text, _ in self._until(stop, keep_escapes=keep_escapes))

    def _replaced(self, value: str) -> str:
        every = self._peek() == "/"
        if every:
            self._at += 1
        pattern = self._word(keep_escapes=True, stop="/")
        replacement = re.sub(r"\\([}/])", r"\1", self._word(keep_escapes=True))
        expression = _expression(pattern, True, self._text)
        return re.sub(expression, lambda _match: replacement, value, count=0 if every else 1)


def _trimmed(value: str, operator: str, pattern: str, shown: str) -> str:
    greedy = pattern.startswith(operator)
    expression = _expression(pattern[1:] if greedy else pattern, greedy, shown)
    if operator == "#":
        match = re.match(expression, value)
        return value[match.end() :] if match else value
    # The shortest suffix begins as late as possible, the longest as early.
    starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    whole = re.compile(f"(?:{expression})$")
    found = (start for start in starts if whole.match(value, start))
    return value[: next(found, len(value))]


def _expression(pattern: str, greedy: bool, shown: str) -> str:
    made, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            made += ".*" if greedy else ".*?"
        elif char == "?":
            made += "."
        elif char == "\\":
            at += 1
            char = pattern[at : at + 1]
            if char not in {"*", "?", "\\", "}", "/"} or not char:
                raise ExpansionError(f"{shown}: \\{char} is no escape in a pattern")
            made += re.escape(char)
        else:
            made += re.escape(char)
        at += 1
    return made
