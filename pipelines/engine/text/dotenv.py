"""Env files: `NAME=value` lines, whose values are read as a shell reads words.

A line is kept as it was written; quotes and variables are looked at when a value is asked for,
so the order of lines does not matter. A value without quotes, backslashes and variables stands
for itself, blanks included. Any other is cut into words as by a shell, and the words are joined
by single blanks: `A=x "y  z"` is `x y  z`. Variables are looked up in the file, then in a second
list that is not shown (`context`), then on the host; one that is nowhere is an error.

Source: dagger `core/dotenv`. Differences on purpose: a line that begins with "#" is a comment and
not a variable of that name; a variable that is set and empty is not taken for a missing one;
braces (`{a,b}`) and "~" stand for themselves.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from pipelines.engine.errors import QueryError

__all__ = ["Lookup", "Pairs", "evaluate", "namespaced", "parse", "put", "write"]

Pairs = tuple[tuple[str, str], ...]
Lookup = Callable[[str], str | None]

_EXPORT = re.compile(r"export\s+")
_FEATURES = re.compile(r"""[`"'\\]|\$[A-Za-z_{(]""")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BLANKS = re.compile(r"[ \t\n]+")
_OPERATOR = re.compile(r":?[-+?=]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def parse(text: str) -> Pairs:
    """Read the lines; of equal names the last counts, at the place of the first."""
    found: Pairs = ()
    for line in text.split("\n"):
        bare = _EXPORT.sub("", line.strip(), count=1) if "export" in line else line.strip()
        if bare and not bare.startswith("#"):
            name, _, value = bare.partition("=")
            found = put(found, name, value)
    return found


def write(pairs: Pairs) -> str:
    """Write the lines back as they are."""
    return "".join(f"{name}={value}\n" for name, value in pairs)


def put(pairs: Pairs, name: str, value: str) -> Pairs:
    """Set a variable: where it stands, or at the end."""
    return tuple({**dict(pairs), name: value}.items())


def evaluate(names: Sequence[str], own: Pairs, context: Pairs, host: Lookup) -> dict[str, str]:
    """Give the values of some of the file's variables, by name.

    Raises:
        QueryError: a value can not be read, or refers to itself or to nothing.
    """
    evaluation = _Evaluation({**dict(context), **dict(own)}, host)
    return {name: evaluation.value(name) for name in names}


def namespaced(pairs: Pairs, prefix: str) -> tuple[Pairs, Pairs]:
    """Split into what a prefix names, without the prefix, and the rest.

    `myApp`, `my_app` and `MY_APP_` are one prefix; case does not count.
    """
    snake = _HUMP.sub("_", prefix).lower().rstrip("_") + "_"
    joined = prefix.replace("_", "").lower() + "_"
    own: Pairs = ()
    rest: Pairs = ()
    for name, value in pairs:
        cut = next((len(p) for p in (joined, snake) if name.lower().startswith(p)), 0)
        if cut and name[cut:]:
            own = put(own, name[cut:], value)
        else:
            rest = put(rest, name, value)
    return own, rest


class _Evaluation:
    """Values of one file, each worked out once."""

    def __init__(self, raw: Mapping[str, str], host: Lookup) -> None:
        self._raw = raw
        self._host = host
        self._known: dict[str, str] = {}
        self._open: list[str] = []

    def value(self, name: str) -> str:
        """Give the value of a variable of the file."""
        if name in self._known:
            return self._known[name]
        if name in self._open:
            ring = " -> ".join([*self._open[self._open.index(name) :], name])
            raise QueryError(f"env file: circular reference: {ring}")
        self._open.append(name)
        raw = self._raw[name]
        made = _Words(name, raw, self.lookup).joined() if _FEATURES.search(raw) else raw
        self._open.pop()
        self._known[name] = made
        return made

    def lookup(self, name: str) -> str | None:
        """Find a variable that a value refers to."""
        return self.value(name) if name in self._raw else self._host(name)


class _Words:
    """One value being cut into words and expanded."""

    def __init__(self, name: str, text: str, lookup: Lookup) -> None:
        self._name = name
        self._text = text
        self._lookup = lookup
        self._at = 0

    def joined(self) -> str:
        """Give the words, joined by blanks."""
        words: list[str] = []
        open_word = False
        for piece, quoted in self._pieces():
            for at, part in enumerate([piece] if quoted else _BLANKS.split(piece)):
                if at:
                    open_word = False
                if not part and not quoted:
                    continue
                if open_word:
                    words[-1] += part
                else:
                    words.append(part)
                    open_word = True
        return " ".join(words)

    def _pieces(self) -> Iterator[tuple[str, bool]]:
        """Yield pieces of words; quoted ones are not split at blanks."""
        blank = True
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "#" and blank:
                return
            blank = char in " \t"
            self._at += 1
            match char:
                case "'":
                    yield self._until("'"), True
                case '"':
                    yield self._double(), True
                case "\\":
                    yield self._text[self._at : self._at + 1], True
                    self._at += 1
                case "$":
                    yield self._dollar(), False
                case "`":
                    raise self._bad("a command (`…`) can not be run here")
                case ";" | "&" | "|" | "<" | ">" | "(" | ")":
                    raise self._bad(f"{char!r} has a meaning to shells; put the value in quotes")
                case _:
                    yield char, False

    def _until(self, quote: str) -> str:
        end = self._text.find(quote, self._at)
        if end < 0:
            raise self._bad(f"a {quote} is not closed")
        found = self._text[self._at : end]
        self._at = end + 1
        return found

    def _double(self) -> str:
        """Read up to the closing quote, variables expanded."""
        made = ""
        while self._at < len(self._text):
            char = self._text[self._at]
            self._at += 1
            if char == '"':
                return made
            following = self._text[self._at : self._at + 1]
            if char == "\\" and following and following in '"\\$`':
                made += following
                self._at += 1
            elif char == "$":
                made += self._dollar()
            elif char == "`":
                raise self._bad("a command (`…`) can not be run here")
            else:
                made += char
        raise self._bad('a " is not closed')

    def _dollar(self) -> str:
        """Expand what follows a dollar sign; one that nothing follows stands for itself."""
        if self._text.startswith("(", self._at):
            raise self._bad("a command ($(…)) can not be run here")
        if self._text.startswith("{", self._at):
            return self._braced()
        found = _NAME.match(self._text, self._at)
        if not found:
            return "$"
        self._at = found.end()
        return self._needed(found[0])

    def _braced(self) -> str:
        """Expand `${NAME}`, and with `-`, `+`, `?` or `=` what depends on the variable."""
        end = self._closing()
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        found = _NAME.match(inner)
        if not found:
            raise self._bad(f"${{{inner}}} names no variable")
        name, rest = found[0], inner[found.end() :]
        operator = _OPERATOR.match(rest)
        if not rest:
            return self._needed(name)
        if not operator:
            raise self._bad(f"${{{inner}}}: only the operators - + ? = are known here")
        return self._chosen(name, operator[0], rest[operator.end() :])

    def _chosen(self, name: str, operator: str, word: str) -> str:
        value = self._lookup(name)
        is_set = value is not None and (value != "" or not operator.startswith(":"))
        if operator.endswith("+"):
            return self._nested(word) if is_set else ""
        if is_set and value is not None:
            return value
        if operator.endswith("?"):
            raise self._bad(f"{name}: {self._nested(word) or 'not set'}")
        return self._nested(word)

    def _closing(self) -> int:
        depth = 0
        for at in range(self._at, len(self._text)):
            depth += {"{": 1, "}": -1}.get(self._text[at], 0)
            if not depth:
                return at
        raise self._bad("a ${ is not closed")

    def _nested(self, text: str) -> str:
        return _Words(self._name, text, self._lookup).joined() if text else ""

    def _needed(self, name: str) -> str:
        value = self._lookup(name)
        if value is None:
            raise self._bad(f"{name} is not set; set it, or write ${{{name}:-}}")
        return value

    def _bad(self, why: str) -> QueryError:
        return QueryError(f"env file: {self._name}={self._text}: {why}")
