"""Env files: variables as they were written; see `text.dotenv` for what they mean.

Values are worked out when they are read: they may refer to the environment of the host.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pipelines.engine.api.configuring import with_env_variable
from pipelines.engine.api.container import Container
from pipelines.engine.api.file import File, contents
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import EnvVariable
from pipelines.engine.errors import QueryError
from pipelines.engine.op import Edge, Empty, Write
from pipelines.engine.text import dotenv

__all__ = ["FIELDS", "EnvFile"]


@dataclass(frozen=True, slots=True)
class EnvFile:
    """Variables; those of `context` are only there to be referred to."""

    TYPE: ClassVar[str] = "EnvFile"

    own: dotenv.Pairs = ()
    context: dotenv.Pairs = ()

    def values(self, session: Session) -> dotenv.Pairs:
        """Give every variable with its value, sorted by name.

        Raises:
            QueryError: a value can not be read.
        """
        names = [name for name, _ in self.own]
        found = dotenv.evaluate(names, self.own, self.context, _host(session))
        return tuple(sorted(found.items()))


def _host(session: Session) -> dotenv.Lookup:
    """Look up the host's variables; a command's own session has none of them."""
    return (lambda _name: None) if session.nested else os.environ.get


def new(_session: Session, _root: object, *, expand: bool | None) -> EnvFile:  # noqa: ARG001
    """Start from no variables; variables in values are always expanded."""
    return EnvFile()


async def of_file(session: Session, it: File, *, expand: bool | None) -> EnvFile:  # noqa: ARG001
    """Read a file's lines."""
    text = await contents(session, it, offset_lines=None, limit_lines=None)
    return EnvFile(dotenv.parse(text))


def into_container(session: Session, it: Container, *, source: EnvFile) -> Container:
    """Set a container's variables.

    Raises:
        QueryError: a value can not be read.
    """
    for name, value in source.values(session):
        it = with_env_variable(session, it, name=name, value=value, expand=False)
    return it


def variables(session: Session, it: EnvFile, *, raw: bool | None) -> tuple[EnvVariable, ...]:
    """List the variables, sorted by name; `raw` values are as they were written."""
    pairs = tuple(sorted(it.own)) if raw else it.values(session)
    return tuple(EnvVariable(*pair) for pair in pairs)


def get(session: Session, it: EnvFile, *, name: str, raw: bool | None) -> str:
    """Read a variable; "" if it is not there."""
    written = dict(it.own).get(name)
    if written is None or raw:
        return written or ""
    return dotenv.evaluate([name], it.own, it.context, _host(session))[name]


def exists(_session: Session, it: EnvFile, *, name: str) -> bool:
    """Tell whether a variable is there."""
    return name in dict(it.own)


def with_variable(_session: Session, it: EnvFile, *, name: str, value: str) -> EnvFile:
    """Set a variable, to what would be written in a file.

    Raises:
        QueryError: not a variable's name, or a value of several lines.
    """
    if not name or "=" in name or "\n" in name + value:
        raise QueryError(
            f"EnvFile.withVariable: {name!r} can not be set to {value!r}: "
            "a variable is one line, NAME=value"
        )
    return replace(it, own=dotenv.put(it.own, name, value))


def without_variable(_session: Session, it: EnvFile, *, name: str) -> EnvFile:
    """Remove a variable."""
    return replace(it, own=tuple(pair for pair in it.own if pair[0] != name))


def namespace(_session: Session, it: EnvFile, *, prefix: str) -> EnvFile:
    """Keep the variables of a prefix, without it; the others can still be referred to."""
    own, rest = dotenv.namespaced(it.own, prefix)
    return EnvFile(own, (*it.context, *rest))


def as_file(_session: Session, it: EnvFile) -> File:
    """Write the variables to a file, as they were written."""
    return File(Edge(Write(Edge(Empty()), ".env", dotenv.write(it.own).encode())))


FIELDS: dict[str, Callable[..., Any]] = {
    "asFile": as_file,
    "exists": exists,
    "get": get,
    "namespace": namespace,
    "variables": variables,
    "withVariable": with_variable,
    "withoutVariable": without_variable,
}
