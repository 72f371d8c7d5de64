"""Introspection beyond the canned answer: a selection over the schema document itself.

The document leaves out what is null, and refers to types by kind and name; both are made good
here. Nothing is computed, so what is answered is what the canned answer says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.engine.api.document import Selection
from pipelines.engine.api.schema import Schema
from pipelines.engine.errors import QueryError

__all__ = ["introspect"]

_LISTS = {"args", "enumValues", "fields"}
_TYPENAMES = {"locations": "__Directive", "types": "__Schema", "kind": "__Type", "args": "__Field"}


def introspect(
    schema: Schema, selection: Selection, name: str, fragments: Mapping[str, Selection]
) -> Any:
    """Answer `__schema`, or `__type` of a name."""
    node = schema.document if selection.name == "__schema" else schema.by_name.get(name)
    return _select(schema, node, selection.selections, fragments)


def _select(
    schema: Schema,
    node: Any,
    selections: Sequence[Selection],
    fragments: Mapping[str, Selection],
) -> Any:
    if isinstance(node, list):
        return [_select(schema, one, selections, fragments) for one in node]
    if not isinstance(node, Mapping):
        return node
    return {
        one.alias: _select(schema, _member(schema, node, one), one.selections, fragments)
        for one in _flat(selections, fragments)
    }


def _member(schema: Schema, node: Mapping[str, Any], selection: Selection) -> Any:
    name = selection.name
    if name == "__typename":
        return next((kind for key, kind in _TYPENAMES.items() if key in node), "__InputValue")
    if name not in node and "kind" in node:
        node = schema.by_name.get(node.get("name", ""), node)
    found = node.get(name)
    if (
        name in _LISTS
        and isinstance(found, list)
        and not selection.arguments.get("includeDeprecated", name == "args")
    ):
        return [one for one in found if not one.get("isDeprecated")]
    return found


def _flat(
    selections: Sequence[Selection], fragments: Mapping[str, Selection]
) -> Iterator[Selection]:
    """Yield the fields, those of fragments included."""
    for one in selections:
        if one.name:
            yield one
        elif not one.spread:
            yield from _flat(one.selections, fragments)
        elif one.spread in fragments:
            yield from _flat(fragments[one.spread].selections, fragments)
        else:
            raise QueryError(f"no fragment {one.spread!r} in the query")
