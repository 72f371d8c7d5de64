"""Queries: walk the selections, call the function of every field, write the answer.

Theory of operation
    A query is almost always a chain: one field, whose object has one field, and so on. The
    walk follows a chain in a loop and only forks where selections do, so the depth of a
    chain is bounded by nothing but memory. Siblings of a fork are resolved in parallel.
    Answers are written as JSON text right away, innermost first.

    The first error ends the query: siblings are cancelled and the answer is one error with
    its path and `data: null`. A chain's fields hardly ever answer null, so there is no
    partial answer that a client of this API could use.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from types import CoroutineType
from typing import Any

import anyio

from pipelines.engine.api import nested
from pipelines.engine.api.arguments import Arguments
from pipelines.engine.api.document import Document, Selection, parse
from pipelines.engine.api.fields import FIELDS
from pipelines.engine.api.ids import Node
from pipelines.engine.api.introspection import introspect
from pipelines.engine.api.root import Root
from pipelines.engine.api.session import Session
from pipelines.engine.errors import ContentMissing, EngineError, QueryError, UnsupportedField
from pipelines.engine.scrub import Hidden

__all__ = ["answer"]

_SDK_INTROSPECTION = re.compile(r"\s*query\s+IntrospectionQuery\b")
# Types of which every field is something that the object holds (`values.fields_of`).
_PLAIN = {"SearchResult", "SearchSubmatch", "EnvVariable", "Label", "Port", "Stat"}
_JSON = json.JSONEncoder(separators=(",", ":")).encode

Path = tuple[str | int, ...]


async def answer(
    session: Session,
    query: str,
    variables: Mapping[str, Any] | None = None,
    operation: str | None = None,
) -> bytes:
    """Answer a query; errors of the query are part of the answer, never raised.

    Raises:
        BaseException: the query's scope was cancelled.
    """
    if "__schema" in query and _SDK_INTROSPECTION.match(query):
        return session.schema.introspection
    path: Path = ()
    try:
        document = parse(query)
        chosen = document.operation(operation)
        walk = _Walk(session, document, {**chosen.defaults, **(variables or {})})
        text = await walk.object(Root(), chosen.selections, ())
        return b'{"data":' + text.encode() + b"}"
    except _FailedAt as failed:
        path, error = failed.path, failed.error
    except EngineError as exc:
        error = exc
    return _refusal(error, path, session.engine.hidden)


def _refusal(error: Exception, path: Path, hidden: Hidden) -> bytes:
    if isinstance(error, EngineError):
        message, extensions = str(error), error.extensions()
    else:
        # A defect of the engine: the client gets the name of it, the log where it happened.
        logging.getLogger(__name__).error("a field failed", exc_info=error)
        message = f"internal error: {type(error).__name__}: {error}"
        extensions = {"_type": "INTERNAL_ERROR"}
    told = hidden.within({"message": message, "extensions": extensions})
    shown = {"message": told["message"], "path": list(path), "extensions": told["extensions"]}
    return _JSON({"data": None, "errors": [shown]}).encode()


class _FailedAt(Exception):  # carries an error, is none
    """A field failed."""

    def __init__(self, error: Exception, path: Path) -> None:
        super().__init__(error)
        self.error = error
        self.path = path


def _leaf(error: BaseException) -> BaseException:
    """Unwrap groups to their first error; a cancellation beside one is its consequence."""
    while isinstance(error, BaseExceptionGroup):
        error = (error.split(Exception)[0] or error).exceptions[0]
    return error


class _Walk:
    """One query being answered."""

    def __init__(self, session: Session, document: Document, variables: Mapping[str, Any]) -> None:
        self._session = session
        self._fragments = document.fragments
        self._arguments = Arguments(session.schema, session.objects, variables)

    async def object(self, value: Node, selections: Sequence[Selection], path: Path) -> str:
        """Write an object: follow the chain to where it forks or ends."""
        keys: list[str] = []
        text = ""
        while not text:
            fields = self._collect(value, selections)
            if len(fields) != 1:
                text = await self._fork(value, fields, (*path, *keys))
                continue
            key, selection = fields.popitem()
            keys.append(key)
            found = await self._resolve(value, selection, path, keys)
            if not hasattr(found, "TYPE"):
                text = await self._write(found, selection, (*path, *keys))
            else:
                value, selections = found, selection.selections
        opening = "".join(f'{{"{key}":' for key in keys)
        return opening + text + "}" * len(keys)

    async def _fork(self, value: Node, fields: Mapping[str, Selection], path: Path) -> str:
        texts = dict.fromkeys(fields, "")

        async def one(key: str, selection: Selection) -> None:
            found = await self._resolve(value, selection, path, [key])
            texts[key] = await self._write(found, selection, (*path, key))

        forces = []
        for key, selection in fields.items():
            if _is_at_hand(value, selection.name):
                # Lists have thousands of these: no sibling is started for one.
                await one(key, selection)
            else:
                forces.append((key, selection))
        if forces:
            try:
                async with anyio.create_task_group() as siblings:
                    for key, selection in forces:
                        siblings.start_soon(one, key, selection)
            except BaseExceptionGroup as group:
                raise _leaf(group) from None
        return "{" + ",".join(f'"{key}":{text}' for key, text in texts.items()) + "}"

    async def _write(self, found: Any, selection: Selection, path: Path) -> str:
        if hasattr(found, "TYPE"):
            return await self.object(found, selection.selections, path)
        if isinstance(found, tuple):
            texts = [await self._write(one, selection, (*path, at)) for at, one in enumerate(found)]
            return "[" + ",".join(texts) + "]"
        return _JSON(found)

    async def _resolve(
        self, value: Node, selection: Selection, path: Path, keys: Sequence[str]
    ) -> Any:
        try:
            return await self._once_or_twice(value, selection)
        except Exception as exc:  # noqa: BLE001  # whatever it is, the client hears of it
            error = _leaf(exc)
            if not isinstance(error, Exception):
                raise error from None
            raise _FailedAt(error, (*path, *keys)) from error

    async def _once_or_twice(self, value: Node, selection: Selection) -> Any:
        """Call a field; once more if what a record promised can be made after all."""
        try:
            found = self._call(value, selection)
            return await found if isinstance(found, CoroutineType) else found
        except Exception as exc:
            if not isinstance(_leaf(exc), ContentMissing) or not self._session.engine.mended():
                raise
        found = self._call(value, selection)
        return await found if isinstance(found, CoroutineType) else found

    def _call(self, value: Node, selection: Selection) -> Any:
        name = selection.name
        if name == "__typename":
            return value.TYPE
        if name in {"__schema", "__type"} and isinstance(value, Root):
            asked = str(self._arguments.resolve(selection.arguments.get("name", "")))
            return introspect(self._session.schema, selection, asked, self._fragments)
        field = self._session.schema.type(value.TYPE).field(name)
        if self._session.nested:
            nested.check(value.TYPE, name)
        where = f"{value.TYPE}.{name}"
        if name == "id":
            return self._session.objects.remember(value)
        function = FIELDS[value.TYPE].get(name)
        if function is None:
            raise UnsupportedField(where)
        arguments = self._arguments.read(where, field.arguments, selection.arguments)
        return function(self._session, value, **arguments)

    def _collect(self, value: Node, selections: Iterable[Selection]) -> dict[str, Selection]:
        """Choose the fields that apply to an object, by response key, fragments opened."""
        fields: dict[str, Selection] = {}
        pending = list(selections)[::-1]
        opened: set[str] = set()
        while pending:
            one = pending.pop()
            if one.directives and not self._included(one):
                continue
            if one.name:
                known = fields.get(one.alias)
                fields[one.alias] = one if known is None else _merged(known, one)
                continue
            if one.spread in opened:
                continue
            if one.spread:
                opened.add(one.spread)
                one = self._fragment(one.spread)
            if self._applies(value, one.on):
                pending += one.selections[::-1]
        return fields

    def _fragment(self, name: str) -> Selection:
        found = self._fragments.get(name)
        if found is None:
            raise QueryError(f"no fragment {name!r} in the query")
        return found

    def _applies(self, value: Node, on: str) -> bool:
        if on in {"", value.TYPE}:
            return True
        schema = self._session.schema
        return schema.type(on).name in schema.type(value.TYPE).interfaces

    def _included(self, selection: Selection) -> bool:
        for name, arguments in selection.directives:
            condition = self._arguments.resolve(arguments.get("if"))
            if name not in {"skip", "include"} or not isinstance(condition, bool):
                raise QueryError(f"@{name}: expected @skip or @include with a Boolean `if`")
            if condition is (name == "skip"):
                return False
        return True


def _is_at_hand(value: Node, name: str) -> bool:
    """Tell whether a field is a plain value that its object has: nothing is asked for it."""
    return value.TYPE in _PLAIN and name in FIELDS[value.TYPE]


def _merged(one: Selection, other: Selection) -> Selection:
    """Join two selections of one response key."""
    if one.name != other.name or one.arguments != other.arguments:
        raise QueryError(f"{one.alias!r} is selected twice with other fields or arguments")
    selections = one.selections + other.selections
    return Selection(one.name, one.alias, one.arguments, one.directives, selections)
