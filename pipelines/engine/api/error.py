"""Errors as objects: what a function of a pipeline hands back instead of failing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pipelines.engine.api.jsonvalue import checked
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import fields_of

__all__ = ["FIELDS", "VALUE", "Error", "ErrorValue"]


@dataclass(frozen=True, slots=True)
class ErrorValue:
    """A named detail of an error; `value` is JSON."""

    TYPE: ClassVar[str] = "ErrorValue"

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Error:
    """A message and its details."""

    TYPE: ClassVar[str] = "Error"

    message: str
    values: tuple[ErrorValue, ...] = ()


def new(_session: Session, _root: object, *, message: str) -> Error:
    """Start from a message."""
    return Error(message)


def with_value(_session: Session, it: Error, *, name: str, value: str) -> Error:
    """Add a detail.

    Raises:
        QueryError: the value is not JSON.
    """
    text = checked(f"Error.withValue({name!r})", value).text
    return replace(it, values=(*it.values, ErrorValue(name, text)))


FIELDS: dict[str, Callable[..., Any]] = {
    **fields_of(("message", "message"), ("values", "values")),
    "withValue": with_value,
}
VALUE = fields_of(("name", "name"), ("value", "value"))
