r"""GraphQL documents: text to selections.

Written by hand because of what the session needs and the library does not give: importing
graphql-core takes 0.1 s or more and 16 MiB, its parser is slow on the long strings of
`withNewFile`, and it refuses chains of more than some 200 calls. Here a document is cut into
tokens by one regular expression and selection sets are kept on an explicit stack, so depth
costs nothing. A test holds it against graphql-core's parser.

Grammar: GraphQL spec (October 2021) section 2, executable documents of queries. Descriptions,
type definitions, mutations and subscriptions are not part of a session. Values become plain
Python: str, int, float, bool, None, list, dict, and `Name` for an enum's, `Variable` for a
variable's.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.engine.errors import QueryError

__all__ = ["Document", "Name", "Operation", "Selection", "Variable", "parse"]

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
_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_LEVELS = 200  # of lists and objects in a value: nobody's argument, and no stack overflow


class Name(str):
    """An enum value, written without quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable where a value may stand."""

    name: str


@dataclass(slots=True)
class Selection:
    """A field; or a fragment, when `name` is "": spread by name, or inline with selections."""

    name: str
    alias: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    directives: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    selections: list["Selection"] = field(default_factory=list)
    on: str = ""
    spread: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """A query: its selections and the defaults of its variables."""

    name: str
    selections: list[Selection]
    defaults: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """The operations and fragments of a request."""

    operations: tuple[Operation, ...]
    fragments: Mapping[str, Selection]

    def operation(self, name: str | None) -> Operation:
        """Choose the operation to run.

        Raises:
            QueryError: there is none of that name, or there are several and none was named.
        """
        found = [one for one in self.operations if name in {None, "", one.name}]
        if len(found) == 1:
            return found[0]
        names = ", ".join(repr(one.name) for one in self.operations) or "none"
        raise QueryError(f"operationName {name!r} does not choose one of the operations: {names}")


def parse(text: str) -> Document:
    """Parse a request.

    Raises:
        QueryError: the text is not a GraphQL query; says where and what was found.
    """
    return _Parser(text).document()


class _Parser:
    """One pass over a text; `kind` and `value` are the token at hand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._start = 0
        self.kind = ""
        self.value = ""
        self._next()

    def document(self) -> Document:
        operations: list[Operation] = []
        fragments: dict[str, Selection] = {}
        while self.kind != "end":
            if self.value == "fragment" and self.kind == "name":
                fragment = self._fragment()
                fragments[fragment.spread] = fragment
            else:
                operations.append(self._operation())
        return Document(tuple(operations), fragments)

    def _operation(self) -> Operation:
        name, defaults = "", {}
        if self.kind == "name":
            if self.value != "query":
                raise self._unexpected("a query (this session has no mutations)")
            self._next()
            name = self._name() if self.kind == "name" else ""
            defaults = self._variables() if self.value == "(" else {}
            self._directives()
        return Operation(name, self._selections(), defaults)

    def _fragment(self) -> Selection:
        self._next()
        name = self._name()
        self._word("on")
        on = self._name()
        self._directives()
        return Selection("", spread=name, on=on, selections=self._selections())

    def _variables(self) -> dict[str, Any]:
        """Read variable definitions: their defaults are needed, their types are not."""
        defaults: dict[str, Any] = {}
        self._mark("(")
        while self.value != ")":
            self._mark("$")
            name = self._name()
            self._mark(":")
            while self.kind == "name" or self.value in {"[", "]", "!"}:
                self._next()
            if self.value == "=":
                self._next()
                defaults[name] = self._value(0)
            self._directives()
        self._next()
        return defaults

    def _selections(self) -> list[Selection]:
        """Read a selection set with all that is nested in it."""
        self._mark("{")
        outermost: list[Selection] = []
        stack = [outermost]
        while stack:
            if self.value == "}" and self.kind == "punctuation":
                if not stack[-1]:
                    raise self._unexpected("a field")
                stack.pop()
                self._next()
                continue
            selection = self._spread() if self.value == "..." else self._field()
            stack[-1].append(selection)
            if self.value == "{" and self.kind == "punctuation" and not selection.spread:
                self._next()
                stack.append(selection.selections)
        return outermost

    def _field(self) -> Selection:
        alias = name = self._name()
        if self.value == ":" and self.kind == "punctuation":
            self._next()
            name = self._name()
        return Selection(name, alias, self._arguments(), self._directives())

    def _spread(self) -> Selection:
        self._next()
        if self.kind == "name" and self.value != "on":
            return Selection("", spread=self._name(), directives=self._directives())
        on = ""
        if self.kind == "name":
            self._next()
            on = self._name()
        directives = self._directives()
        if self.value != "{":
            raise self._unexpected("'{'")
        return Selection("", on=on, directives=directives)

    def _arguments(self) -> dict[str, Any]:
        if self.kind != "punctuation" or self.value != "(":
            return {}
        self._next()
        arguments: dict[str, Any] = {}
        while self.kind == "name":
            name = self._name()
            self._mark(":")
            arguments[name] = self._value(0)
        self._mark(")")
        return arguments

    def _directives(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        if self.value != "@" or self.kind != "punctuation":
            return ()
        found = []
        while self.value == "@" and self.kind == "punctuation":
            self._next()
            found.append((self._name(), self._arguments()))
        return tuple(found)

    def _value(self, level: int) -> Any:
        kind, value = self.kind, self.value
        if level > _LEVELS:
            raise self._unexpected("a value that is not nested so deeply")
        if kind == "punctuation":
            return self._compound(value, level)
        if kind == "end":
            raise self._unexpected("a value")
        text = self._token_text(kind, value)
        self._next()
        return text

    def _compound(self, mark: str, level: int) -> Any:
        if mark not in {"[", "{", "$"}:
            raise self._unexpected("a value")
        self._next()
        if mark == "$":
            return Variable(self._name())
        if mark == "[":
            items = []
            while not (self.kind == "punctuation" and self.value == "]"):
                items.append(self._value(level + 1))
            self._next()
            return items
        members = {}
        while self.kind == "name":
            name = self._name()
            self._mark(":")
            members[name] = self._value(level + 1)
        self._mark("}")
        return members

    def _token_text(self, kind: str, value: str) -> Any:
        if kind == "name":
            return _CONSTANTS[value] if value in _CONSTANTS else Name(value)
        if kind == "number":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        if kind == "block":
            return _dedent(value[3:-3].replace('\\"""', '"""'))
        if "\\" not in value:
            return value[1:-1]
        try:
            # A GraphQL string is a JSON string but for `\u{…}` and raw control characters.
            return json.loads(_ESCAPE.sub(_json_escape, value), strict=False)
        except ValueError as exc:
            raise QueryError(f"syntax error in a string: {exc}") from exc

    def _name(self) -> str:
        if self.kind != "name":
            raise self._unexpected("a name")
        value = self.value
        self._next()
        return value

    def _word(self, word: str) -> None:
        if self._name() != word:
            raise self._unexpected(repr(word))

    def _mark(self, mark: str) -> None:
        if self.kind != "punctuation" or self.value != mark:
            raise self._unexpected(repr(mark))
        self._next()

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            self.kind, self.value, self._start = "", self._text[self._at : self._at + 20], self._at
            raise self._unexpected("a GraphQL token")
        self.kind = match.lastgroup
        self.value = match[self.kind]
        self._start, self._at = match.start(self.kind), match.end()

    def _unexpected(self, wanted: str) -> QueryError:
        line = self._text.count("\n", 0, self._start) + 1
        column = self._start - self._text.rfind("\n", 0, self._start)
        found = repr(self.value[:40]) if self.kind != "end" else "the end of the query"
        return QueryError(f"syntax error at {line}:{column}: expected {wanted}, found {found}")


def _json_escape(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[0]
    point = int(match[1], 16)
    if point > 0x10FFFF:
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
