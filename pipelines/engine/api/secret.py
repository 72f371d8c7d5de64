"""Secrets: a name that keys, and a way to the value that is taken when a command starts.

A secret of `setSecret` is keyed by its name, one of `secret(uri)` by its address (or by an
explicit `cacheKey`), so rotating a value re-runs nothing. `mark` tells two values of one name
apart inside a session; it says nothing outside (a keyed hash whose key is never written).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError, SourceError
from pipelines.engine.op import SecretRef

__all__ = ["FIELDS", "Secret", "from_address", "from_text", "known"]


class Fetch(Protocol):
    """Gives a secret's value."""

    def __call__(self) -> bytes:
        """Fetch the value."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Known:
    """A value that was handed over; ids see the mark alone."""

    mark: str
    fetch: Fetch

    def __call__(self) -> bytes:
        """Give the value."""
        return self.fetch()


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A variable of the engine's environment."""

    name: str

    def __call__(self) -> bytes:
        """Read it.

        Raises:
            SourceError: it is not set.
        """
        value = os.environb.get(os.fsencode(self.name))
        if value is None:
            raise SourceError(
                f"secret env://{self.name}: the variable is not set; "
                "set it where the pipeline is started"
            )
        return value


@dataclass(frozen=True, slots=True)
class FromFile:
    """A file of the host."""

    path: str

    def __call__(self) -> bytes:
        """Read it.

        Raises:
            SourceError: it can not be read.
        """
        try:
            return Path(self.path).read_bytes()
        except OSError as exc:
            raise SourceError(f"secret file://{self.path}: {exc.strerror}") from exc


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret; `name` and `uri` are what it was asked for by, one of them is empty."""

    TYPE: ClassVar[str] = "Secret"

    name: str
    uri: str
    ref: SecretRef


def from_text(session: Session, name: str, plaintext: str) -> Secret:
    """Take a value that the caller has."""
    return Secret(name, "", known(session, name, plaintext))


def known(session: Session, name: str, plaintext: str) -> SecretRef:
    """Make a secret of a value that the caller has."""
    value = plaintext.encode()
    return SecretRef(name, Known(session.mark(value), lambda: value))


def from_address(session: Session, uri: str, cache_key: str | None) -> Secret:
    """Point to a value by `env:NAME` or `file:PATH`; nothing is read yet.

    Raises:
        QueryError: the address is of another kind or names nothing.
    """
    kind, _, rest = uri.partition(":")
    rest = rest.removeprefix("//")
    fetch: Fetch
    if kind == "env" and rest:
        fetch = FromEnvironment(rest)
    elif kind == "file" and rest:
        fetch = FromFile(str(session.engine.workdir / Path(rest).expanduser()))
    else:
        raise QueryError(
            f"secret({uri!r}): the embedded engine reads env://NAME and file://PATH; "
            "for other providers run on the Dagger engine: --engine dagger"
        )
    address = f"{kind}://{rest}"
    return Secret("", address, SecretRef(cache_key or address, fetch))


def name(_session: Session, secret: Secret) -> str:
    """Give the name that the secret was set by."""
    return secret.name


def uri(_session: Session, secret: Secret) -> str:
    """Give the address that the secret was asked for by."""
    return secret.uri


def plaintext(_session: Session, secret: Secret) -> str:
    """Give the value."""
    return secret.ref.value().decode("utf-8", "replace")


FIELDS: dict[str, Callable[..., Any]] = {"name": name, "plaintext": plaintext, "uri": uri}
