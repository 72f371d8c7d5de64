"""JSON values: a text that is known to be JSON."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api import file
from pipelines.engine.api.file import File
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError

__all__ = ["FIELDS", "JSONValue", "checked"]


@dataclass(frozen=True, slots=True)
class JSONValue:
    """A JSON document; one that was parsed is kept as it was written."""

    TYPE: ClassVar[str] = "JSONValue"

    text: str = "null"

    @property
    def value(self) -> Any:
        """The document, decoded."""
        return json.loads(self.text)


def checked(where: str, text: str) -> JSONValue:
    """Take a text as JSON.

    Raises:
        QueryError: it is none; says where.
    """
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError as exc:
        raise QueryError(f"{where}: not JSON: {exc}") from exc
    return JSONValue(text)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is a word of JavaScript")


def _encoded(value: Any) -> JSONValue:
    return JSONValue(json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True))


def _shown(it: JSONValue) -> str:
    return it.text if len(it.text) <= 60 else it.text[:57] + "..."  # noqa: PLR2004 - a line


def _expected(it: JSONValue, kind: type, word: str) -> Any:
    value = it.value
    # bool is an int to Python, not to JSON.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise QueryError(f"JSON value {_shown(it)} is not {word}")
    return value


def new(_session: Session, _root: object) -> JSONValue:
    """Start from null."""
    return JSONValue()


async def of_file(session: Session, it: File) -> JSONValue:
    """Read a file as JSON.

    Raises:
        QueryError: it is none.
    """
    text = await file.contents(session, it, offset_lines=None, limit_lines=None)
    return checked(f"File.asJSON ({it.path or 'file'})", text)


def contents(_session: Session, it: JSONValue, *, pretty: bool, indent: str) -> str:
    """Give the text, or a text with a line for every member."""
    if not pretty:
        return it.text
    return json.dumps(it.value, ensure_ascii=False, indent=indent, sort_keys=True)


def with_contents(_session: Session, _it: JSONValue, *, contents: str) -> JSONValue:
    """Take another text."""
    return checked("JSONValue.withContents", contents)


def new_value(_session: Session, _it: JSONValue, *, value: object) -> JSONValue:
    """Encode a value."""
    return _encoded(value)


def as_array(_session: Session, it: JSONValue) -> tuple[JSONValue, ...]:
    """Decode an array."""
    return tuple(_encoded(item) for item in _expected(it, list, "an array"))


def as_boolean(_session: Session, it: JSONValue) -> Any:
    """Decode a boolean."""
    return _expected(it, bool, "a boolean")


def as_integer(_session: Session, it: JSONValue) -> Any:
    """Decode an integer."""
    return _expected(it, int, "an integer")


def as_string(_session: Session, it: JSONValue) -> Any:
    """Decode a string."""
    return _expected(it, str, "a string")


def fields(_session: Session, it: JSONValue) -> tuple[str, ...]:
    """List an object's fields, sorted."""
    return tuple(sorted(_expected(it, dict, "an object")))


def field(_session: Session, it: JSONValue, *, path: tuple[str, ...]) -> JSONValue:
    """Look a field up, through objects in objects.

    Raises:
        QueryError: there is none, or what it should be in is no object.
    """
    value = it.value
    for at, name in enumerate(path):
        where = ".".join(path[: at + 1])
        if not isinstance(value, dict):
            raise QueryError(f"JSON field {where}: it is looked up in what is not an object")
        if name not in value:
            raise QueryError(f"JSON field {where}: no such field; there are {sorted(value)}")
        value = value[name]
    return _encoded(value)


def with_field(
    _session: Session, it: JSONValue, *, path: tuple[str, ...], value: JSONValue
) -> JSONValue:
    """Set a field; objects on the way are made, and replace what is no object.

    Raises:
        QueryError: the path is empty.
    """
    if not path:
        raise QueryError("JSONValue.withField: path is empty; give the names of the fields")
    return _encoded(_set(it.value, path, value.value))


def _set(base: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    members = base if isinstance(base, dict) else {}
    return members | {path[0]: _set(members.get(path[0]), path[1:], value)}


FIELDS: dict[str, Callable[..., Any]] = {
    "asArray": as_array,
    "asBoolean": as_boolean,
    "asInteger": as_integer,
    "asString": as_string,
    "contents": contents,
    "field": field,
    "fields": fields,
    "newBoolean": new_value,
    "newInteger": new_value,
    "newString": new_value,
    "withContents": with_contents,
    "withField": with_field,
}
