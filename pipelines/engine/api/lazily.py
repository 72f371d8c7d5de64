"""Fields that few sessions ask for: their modules are imported when they are first called."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

__all__ = ["Field", "Table"]


def _find(module: str, name: str) -> Any:
    return getattr(import_module(f"pipelines.engine.api.{module}"), name)


class Field:
    """A field's function, found when it is first called."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    @cached_property
    def found(self) -> Callable[..., Any]:
        """The function that answers."""
        function: Callable[..., Any] = _find(self._module, self._name)
        return function

    def __call__(self, session: object, it: object, **arguments: Any) -> Any:
        """Answer."""
        return self.found(session, it, **arguments)


class Table(Mapping[str, Callable[..., Any]]):
    """The table of a type's fields, read when it is first looked at."""

    def __init__(self, module: str, name: str = "FIELDS") -> None:
        self._module = module
        self._name = name

    @cached_property
    def _fields(self) -> Mapping[str, Callable[..., Any]]:
        found: Mapping[str, Callable[..., Any]] = _find(self._module, self._name)
        return found

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
