"""Arguments: literals and variables to what the functions of fields take.

Every argument that the schema has reaches the function, as its default where the query left
it out or said null: omitting an argument and spelling its default are the same call. Ids become
the objects that they name, lists tuples, enum aliases the names that count. As lax as Dagger:
an enum value may stand in quotes, and one value where a list is wanted is a list of one.
"""

from collections.abc import Mapping
from typing import Any

from pipelines.engine.api.document import Variable
from pipelines.engine.api.ids import Objects
from pipelines.engine.api.schema import MISSING, Argument, Ref, Schema, suggestion
from pipelines.engine.errors import QueryError

__all__ = ["Arguments"]

_SCALARS: Mapping[str, tuple[type, ...]] = {
    "String": (str,),
    "Int": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
    "ID": (str, int),
}


class Arguments:
    """Coerces the arguments of one request."""

    def __init__(self, schema: Schema, objects: Objects, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._objects = objects
        self._variables = variables

    def read(
        self, where: str, declared: Mapping[str, Argument], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Give keyword arguments for everything declared.

        Raises:
            QueryError: an argument is unknown, missing or of another type.
        """
        for name in given:
            if name not in declared:
                raise QueryError(f"{where} has no argument {name!r}{suggestion(name, declared)}")
        return {
            argument.keyword: self._one(where, argument, given) for argument in declared.values()
        }

    def _one(self, where: str, argument: Argument, given: Mapping[str, Any]) -> Any:
        raw = self.resolve(given.get(argument.name, MISSING))
        if raw is MISSING or raw is None:
            if argument.default is not MISSING:
                return argument.default
            if argument.ref.required:
                raise QueryError(f"{where}: argument {argument.name!r} ({argument.ref}) is missing")
            return None
        try:
            return self._coerce(argument.ref, argument.expected, raw)
        except QueryError as exc:
            raise QueryError(f"{where}: argument {argument.name!r}: {exc}") from exc

    def resolve(self, raw: Any) -> Any:
        """Put a variable's value where the variable stands; MISSING if it has none."""
        return self._variables.get(raw.name, MISSING) if isinstance(raw, Variable) else raw

    def _coerce(self, ref: Ref, expected: str, raw: Any) -> Any:
        raw = self.resolve(raw)
        if raw is None or raw is MISSING:
            if ref.required:
                raise QueryError(f"expected {ref}, got null")
            return None
        if ref.item is not None:
            items = raw if isinstance(raw, list | tuple) else [raw]
            item = ref.item
            return tuple(self._coerce(item, expected, one) for one in items)
        wanted = _SCALARS.get(ref.name)
        if wanted is None:
            return self._named(ref, raw)
        # bool is an int to Python, not to GraphQL.
        if not isinstance(raw, wanted) or (isinstance(raw, bool) and bool not in wanted):
            raise QueryError(f"expected {ref}, got {raw!r}")
        if ref.name != "ID":
            return raw
        return self._objects.find(str(raw), "" if expected == "Node" else expected)

    def _named(self, ref: Ref, raw: Any) -> Any:
        """Coerce to an enum, an input object or a custom scalar."""
        kind = self._schema.type(ref.name)
        if kind.kind == "ENUM":
            value = kind.values.get(raw) if isinstance(raw, str) else None
            if value is None:
                names = ", ".join(kind.values)
                raise QueryError(f"expected {ref} (one of {names}), got {raw!r}")
            return value
        if kind.kind == "INPUT_OBJECT":
            if not isinstance(raw, Mapping):
                raise QueryError(f"expected {ref}, got {raw!r}")
            return self.read(ref.name, kind.inputs, raw)
        if not isinstance(raw, str):
            raise QueryError(f"expected {ref}, got {raw!r}")
        return raw
