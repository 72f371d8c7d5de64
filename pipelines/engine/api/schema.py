"""The schema as a typed index: which fields there are, what they take, what they answer.

The document is the introspection answer that `ci.schema` derived from the SDK. It is parsed
on the first query and indexed type by type when a type is first met, so that a session that
builds one container never looks at the other hundred types.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.engine.errors import QueryError

__all__ = ["Argument", "Field", "Ref", "Schema", "Type"]

MISSING = object()
"""The default of an argument that has none."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A type reference: a named type, or a list of what `item` refers to."""

    name: str
    required: bool
    item: "Ref | None" = None

    def __str__(self) -> str:
        inner = f"[{self.item}]" if self.item else self.name
        return inner + "!" if self.required else inner

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Ref":
        """Read a reference of the introspection document."""
        required = document["kind"] == "NON_NULL"
        inner = document["ofType"] if required else document
        if inner["kind"] == "LIST":
            return cls("", required, cls.of(inner["ofType"]))
        return cls(inner["name"], required)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a field, or one field of an input object.

    `keyword` is what the function that implements the field calls it; `expected` is the
    object type whose id it takes, or "".
    """

    name: str
    keyword: str
    ref: Ref
    default: Any
    expected: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `arguments` by their GraphQL names."""

    name: str
    ref: Ref
    arguments: Mapping[str, Argument]


@dataclass(frozen=True, slots=True)
class Type:
    """One type; `values` maps an enum's names, aliases included, to the names that count."""

    name: str
    kind: str
    fields: Mapping[str, Field]
    inputs: Mapping[str, Argument]
    values: Mapping[str, str]
    interfaces: frozenset[str]

    def field(self, name: str) -> Field:
        """Find a field.

        Raises:
            QueryError: no such field; the nearest name is suggested.
        """
        found = self.fields.get(name)
        if found is None:
            hint = suggestion(name, self.fields)
            raise QueryError(f"{self.name} has no field {name!r}{hint}")
        return found


def suggestion(name: str, known: Mapping[str, object]) -> str:
    """Say which known name was perhaps meant."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Schema:
    """The schema, read when first asked for something."""

    def __init__(self) -> None:
        self._types: dict[str, Type] = {}

    @cached_property
    def introspection(self) -> bytes:
        """The answer to the SDK's introspection query, as the file holds it."""
        return Path(__file__).with_name("schema.json").read_bytes().rstrip()

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The `__schema` object."""
        document: Mapping[str, Any] = json.loads(self.introspection)["data"]["__schema"]
        return document

    @cached_property
    def by_name(self) -> Mapping[str, Mapping[str, Any]]:
        """The `__type` objects by their names."""
        return {one["name"]: one for one in self.document["types"]}

    def type(self, name: str) -> Type:
        """Find a type.

        Raises:
            QueryError: no such type.
        """
        found = self._types.get(name)
        if found is None:
            document = self.by_name.get(name)
            if document is None:
                raise QueryError(f"no type {name!r} in the schema{suggestion(name, self.by_name)}")
            found = self._types[name] = _type(document)
        return found


def _type(document: Mapping[str, Any]) -> Type:
    values = {one["name"]: one.get("value", one["name"]) for one in document.get("enumValues", ())}
    return Type(
        document["name"],
        document["kind"],
        {one["name"]: _field(one) for one in document.get("fields", ())},
        {one["name"]: _argument(one) for one in document.get("inputFields", ())},
        values,
        frozenset(one["name"] for one in document.get("interfaces", ())),
    )


def _field(document: Mapping[str, Any]) -> Field:
    arguments = {one["name"]: _argument(one) for one in document["args"]}
    return Field(document["name"], Ref.of(document["type"]), arguments)


def _argument(document: Mapping[str, Any]) -> Argument:
    name = document["name"]
    return Argument(
        name,
        keyword(name),
        Ref.of(document["type"]),
        _literal(document["defaultValue"]) if "defaultValue" in document else MISSING,
        document.get("expectedType", ""),
    )


def keyword(name: str) -> str:
    """Spell a GraphQL argument as a Python one: `useEntrypoint` is `use_entrypoint`."""
    snake = "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)
    return snake + "_" if snake in {"all", "from", "id"} else snake


def _literal(text: str) -> Any:
    """Read a default: JSON, or the name of an enum value."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value
