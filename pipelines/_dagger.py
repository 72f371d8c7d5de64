"""The Dagger SDK, imported the quick way. Library modules take `dagger` from here."""

from typing import TypeVar

from pipelines._fastimport import import_dagger

import_dagger()

import dagger  # noqa: E402 - after the quick import, which this statement then finds done

__all__ = ["dagger", "knowing_its_id"]

T = TypeVar("T")


def knowing_its_id(value: T) -> T:
    """Let an object that was loaded by its id (what `sync` gives) answer `id()` without a query.

    The SDK asks for the id of every object that is an argument, also of one that it has just
    made from an id. Where the SDK keeps it is private: if it is not there, nothing changes.
    """
    try:
        (field,) = value._ctx.selections  # type: ignore[attr-defined] # noqa: SLF001
        known = field.args["id"] if field.name == "node" else None
    except (AttributeError, KeyError, ValueError, TypeError):
        return value
    if isinstance(known, str) and hasattr(value, "__dict__"):

        async def own_id() -> str:
            return known

        value.__dict__["id"] = own_id
    return value
