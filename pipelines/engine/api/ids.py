"""Ids: an object's id is a pure function of the object.

An id is the base64 of `Type:sha256`, where the digest covers the type's name and everything
that the object holds: graph edges by the digests of their ops, secrets by their names and
marks, never by their values. Equal objects have equal ids, in this session and in any other;
what an id *finds* is kept by the session that made it, and for as long as the session lives.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Protocol

from pipelines.engine.digest import digest_json
from pipelines.engine.errors import QueryError
from pipelines.engine.op import Edge, Op

__all__ = ["Node", "Objects", "identify"]


class Node(Protocol):
    """An API object: a frozen dataclass that knows the name of its GraphQL type."""

    TYPE: ClassVar[str]


def identify(value: Node) -> str:
    """Give an object's id."""
    return b64encode(f"{value.TYPE}:{digest_json(_state(value))}".encode()).decode()


class Objects:
    """The objects that ids were given for."""

    def __init__(self) -> None:
        self._by_id: dict[str, Node] = {}

    def remember(self, value: Node) -> str:
        """Give an object's id and keep the object for it."""
        name = identify(value)
        self._by_id[name] = value
        return name

    def find(self, name: str, expected: str = "") -> Node:
        """Give the object of an id; `expected` is the type it must be of, or "".

        Raises:
            QueryError: the id is not known, or is another type's.
        """
        value = self._by_id.get(name)
        if value is None:
            raise QueryError(
                f"unknown id {_spelled(name)}: ids live as long as their session; "
                "build the object again in this one"
            )
        if expected and expected != value.TYPE:
            raise QueryError(f"expected the id of a {expected}, got the id of a {value.TYPE}")
        return value


def _spelled(name: str) -> str:
    """Show what an id says, as far as it is one of ours."""
    try:
        text = b64decode(name, validate=True).decode("ascii")
    except (Error, ValueError):
        return repr(name[:80])
    return text if ":sha256:" in text else repr(name[:80])


def _state(value: Any) -> Any:
    """Turn what an object holds into JSON. Unlike keys, this leaves out only functions."""
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, Edge):
        return ["edge", value.op.digest, value.output]
    if isinstance(value, Op):
        return value.digest
    if isinstance(value, tuple):
        return [_state(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _state(item) for name, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        parts = (getattr(value, field.name) for field in fields(value))
        return [type(value).__name__, *(_state(part) for part in parts)]
    if callable(value):
        return None
    raise TypeError(f"not a value that an object may hold: {value!r}")
