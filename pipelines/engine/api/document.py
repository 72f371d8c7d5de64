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

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.engine.api.lexer import Tokens, block, string
from pipelines.engine.errors import QueryError

__all__ = ["Document", "Name", "Operation", "Selection", "Variable", "parse"]

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
    """Builds selections from tokens."""

    def __init__(self, text: str) -> None:
        self._tokens = Tokens(text)

    def document(self) -> Document:
        operations: list[Operation] = []
        fragments: dict[str, Selection] = {}
        if self._tokens.kind == "end":
            raise self._tokens.unexpected("a query")
        while self._tokens.kind != "end":
            if self._tokens.value == "fragment" and self._tokens.kind == "name":
                fragment = self._fragment()
                fragments[fragment.spread] = fragment
            else:
                operations.append(self._operation())
        for name in fragments:
            _check_ends(name, fragments)
        return Document(tuple(operations), fragments)

    def _operation(self) -> Operation:
        name, defaults = "", {}
        if self._tokens.kind == "name":
            if self._tokens.value != "query":
                raise self._tokens.unexpected("a query (this session has no mutations)")
            self._tokens.next()
            name = self._tokens.name() if self._tokens.kind == "name" else ""
            defaults = self._variables() if self._tokens.value == "(" else {}
            self._directives()
        return Operation(name, self._selections(), defaults)

    def _fragment(self) -> Selection:
        self._tokens.next()
        name = self._tokens.name()
        if self._tokens.name() != "on":
            raise self._tokens.unexpected("'on' and a type before this")
        on = self._tokens.name()
        self._directives()
        return Selection("", spread=name, on=on, selections=self._selections())

    def _variables(self) -> dict[str, Any]:
        """Read variable definitions: their defaults are needed, their types are not."""
        defaults: dict[str, Any] = {}
        self._tokens.mark("(")
        while self._tokens.value != ")":
            self._tokens.mark("$")
            name = self._tokens.name()
            self._tokens.mark(":")
            while self._tokens.kind == "name" or self._tokens.value in {"[", "]", "!"}:
                self._tokens.next()
            if self._tokens.value == "=":
                self._tokens.next()
                defaults[name] = self._value(0)
            self._directives()
        self._tokens.next()
        return defaults

    def _selections(self) -> list[Selection]:
        """Read a selection set with all that is nested in it."""
        self._tokens.mark("{")
        outermost: list[Selection] = []
        stack = [outermost]
        while stack:
            if self._tokens.is_mark("}"):
                if not stack[-1]:
                    raise self._tokens.unexpected("a field")
                stack.pop()
                self._tokens.next()
                continue
            selection = self._spread() if self._tokens.value == "..." else self._field()
            stack[-1].append(selection)
            if self._tokens.is_mark("{") and not selection.spread:
                self._tokens.next()
                stack.append(selection.selections)
        return outermost

    def _field(self) -> Selection:
        alias = name = self._tokens.name()
        if self._tokens.is_mark(":"):
            self._tokens.next()
            name = self._tokens.name()
        return Selection(name, alias, self._arguments(), self._directives())

    def _spread(self) -> Selection:
        self._tokens.next()
        if self._tokens.kind == "name" and self._tokens.value != "on":
            return Selection("", spread=self._tokens.name(), directives=self._directives())
        on = ""
        if self._tokens.kind == "name":
            self._tokens.next()
            on = self._tokens.name()
        directives = self._directives()
        if self._tokens.value != "{":
            raise self._tokens.unexpected("'{'")
        return Selection("", on=on, directives=directives)

    def _arguments(self) -> dict[str, Any]:
        if not self._tokens.is_mark("("):
            return {}
        self._tokens.next()
        arguments: dict[str, Any] = {}
        while self._tokens.kind == "name":
            name = self._tokens.name()
            self._tokens.mark(":")
            arguments[name] = self._value(0)
        self._tokens.mark(")")
        return arguments

    def _directives(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        if not self._tokens.is_mark("@"):
            return ()
        found = []
        while self._tokens.is_mark("@"):
            self._tokens.next()
            found.append((self._tokens.name(), self._arguments()))
        return tuple(found)

    def _value(self, level: int) -> Any:
        kind, value = self._tokens.kind, self._tokens.value
        if level > _LEVELS:
            raise self._tokens.unexpected("a value that is not nested so deeply")
        if kind == "punctuation":
            return self._compound(value, level)
        if kind == "end":
            raise self._tokens.unexpected("a value")
        text = self._scalar(kind, value)
        self._tokens.next()
        return text

    def _compound(self, mark: str, level: int) -> Any:
        if mark not in {"[", "{", "$"}:
            raise self._tokens.unexpected("a value")
        self._tokens.next()
        if mark == "$":
            return Variable(self._tokens.name())
        if mark == "[":
            items = []
            while not self._tokens.is_mark("]"):
                items.append(self._value(level + 1))
            self._tokens.next()
            return items
        members = {}
        while self._tokens.kind == "name":
            name = self._tokens.name()
            self._tokens.mark(":")
            members[name] = self._value(level + 1)
        self._tokens.mark("}")
        return members

    def _scalar(self, kind: str, value: str) -> Any:
        if kind == "name":
            return _CONSTANTS[value] if value in _CONSTANTS else Name(value)
        if kind == "number":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        return block(value) if kind == "block" else string(value)


def _check_ends(name: str, fragments: Mapping[str, Selection]) -> None:
    """Refuse a fragment that contains itself.

    Source: GraphQL spec, 5.5.2.2 "Fragment spreads must not form cycles".
    """
    seen: set[str] = set()
    pending = [*fragments[name].selections]
    while pending:
        one = pending.pop()
        if one.spread == name:
            raise QueryError(f"fragment {name!r} contains itself")
        if one.spread and one.spread not in seen and one.spread in fragments:
            seen.add(one.spread)
            pending += fragments[one.spread].selections
        pending += one.selections
