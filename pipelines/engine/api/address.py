"""Addresses: one text for what can be asked for in several ways; what is asked for decides.

    container      an image reference
    directory      a path of the host, with or without file://
    file           the same
    secret         env://NAME, env:NAME, NAME, file://PATH; ?cacheKey=TEXT keys it
    socket         a path of the host, with or without unix://

Source: dagger `core/schema/address.go`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

from pipelines.engine.api import host, imaging
from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory
from pipelines.engine.api.file import File
from pipelines.engine.api.secret import Secret, from_address
from pipelines.engine.api.session import Session
from pipelines.engine.api.socket import Socket
from pipelines.engine.api.values import fields_of
from pipelines.engine.errors import QueryError
from pipelines.engine.op import Edge, Scratch

__all__ = ["FIELDS", "Address", "of"]


@dataclass(frozen=True, slots=True)
class Address:
    """A text that names something."""

    TYPE: ClassVar[str] = "Address"

    value: str


def of(_session: Session, _root: object, *, value: str) -> Address:
    """Take an address.

    Raises:
        QueryError: it is empty.
    """
    if not value:
        raise QueryError("address: value is empty; give a path, an image or a URL")
    return Address(value)


async def container(session: Session, it: Address) -> Container:
    """Start from the image of this name."""
    empty = Container(session.engine.platform, Edge(Scratch()))
    return await imaging.from_(session, empty, address=it.value, registry_service=None)


def directory(
    session: Session,
    it: Address,
    *,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gitignore: bool,
    no_cache: bool,
) -> Directory:
    """Take the directory at this path of the host."""
    return host.directory(
        session,
        host.Host(),
        path=_path(it),
        exclude=exclude,
        include=include,
        no_cache=no_cache,
        gitignore=gitignore,
    )


def file(
    session: Session,
    it: Address,
    *,
    exclude: tuple[str, ...],  # noqa: ARG001  # a file is one or is not
    include: tuple[str, ...],  # noqa: ARG001
    gitignore: bool,  # noqa: ARG001
    no_cache: bool,
) -> File:
    """Take the file at this path of the host."""
    return host.file(session, host.Host(), path=_path(it), no_cache=no_cache)


def _path(it: Address) -> str:
    return it.value.removeprefix("file://")


def secret(session: Session, it: Address) -> Secret:
    """Point to the secret at this address; a bare name is a variable of the environment."""
    uri, _, query = (it.value if ":" in it.value else f"env://{it.value}").partition("?")
    parameters = parse_qs(query)
    keys = parameters.pop("cacheKey", [None])
    if parameters:
        uri += "?" + urlencode(parameters, doseq=True)
    return from_address(session, uri, keys[0])


def socket(session: Session, it: Address) -> Socket:
    """Take the socket at this path of the host."""
    return host.unix_socket(session, host.Host(), path=it.value.removeprefix("unix://"))


FIELDS: dict[str, Callable[..., Any]] = {
    **fields_of(("value", "value")),
    "container": container,
    "directory": directory,
    "file": file,
    "secret": secret,
    "socket": socket,
}
