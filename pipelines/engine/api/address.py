"""Addresses: one text for what can be asked for in several ways; what is asked for decides.

    container      an image reference
    directory      a path of the host, with or without file://; URL#REF:PATH in a git repository
    file           the same
    gitRef         URL#REF, or a path of the host and #REF
    gitRepository  URL, or a path of the host
    secret         env://NAME, env:NAME, NAME, file://PATH; ?cacheKey=TEXT keys it
    service        tcp://HOST:PORT
    socket         a path of the host, with or without unix://

Source: dagger `core/schema/address.go`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

from pipelines.engine.api import git, host, imaging, service
from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory, inside
from pipelines.engine.api.file import File
from pipelines.engine.api.secret import Secret, from_address
from pipelines.engine.api.session import Session
from pipelines.engine.api.socket import Socket
from pipelines.engine.api.values import fields_of
from pipelines.engine.errors import QueryError
from pipelines.engine.names.remote import on_network, redact
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


async def directory(
    session: Session,
    it: Address,
    *,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gitignore: bool,
    no_cache: bool,
) -> Directory:
    """Take the directory at this path of the host, or in this git repository."""
    if on_network(it.value):
        return await git.checked_out(session, it.value, keep_git_dir=True)
    return host.directory(
        session,
        host.Host(),
        path=_path(it),
        exclude=exclude,
        include=include,
        no_cache=no_cache,
        gitignore=gitignore,
    )


async def file(
    session: Session,
    it: Address,
    *,
    exclude: tuple[str, ...],  # noqa: ARG001  # a file is one or is not
    include: tuple[str, ...],  # noqa: ARG001
    gitignore: bool,  # noqa: ARG001
    no_cache: bool,
) -> File:
    """Take the file at this path of the host, or in this git repository.

    Raises:
        QueryError: a git address that names no file.
    """
    if on_network(it.value):
        address, _, path = it.value.partition("#")
        ref, _, path = path.partition(":")
        if not path:
            raise QueryError(f"address({redact(it.value)!r}): no file is named; write URL#REF:PATH")
        tree = await git.checked_out(session, f"{address}#{ref}")
        return File(tree.base, inside(path))
    return host.file(session, host.Host(), path=_path(it), no_cache=no_cache)


def _path(it: Address) -> str:
    return it.value.removeprefix("file://")


def git_repository(session: Session, it: Address) -> git.GitRepository:
    """Point to the repository at this address, or in this directory of the host.

    Raises:
        QueryError: the address names a ref or a path in it.
    """
    address, mark, _ = it.value.partition("#")
    if mark:
        raise QueryError(
            f"address({redact(it.value)!r}): a repository is wanted, this names a ref; use gitRef"
        )
    return _repository(session, address)


async def git_ref(session: Session, it: Address) -> git.GitRef:
    """Pin the ref at this address; without one, the default branch.

    Raises:
        QueryError: the address names a path in it.
    """
    address, _, fragment = it.value.partition("#")
    if ":" in fragment:
        raise QueryError(
            f"address({redact(it.value)!r}): a ref is wanted, this names a path; use directory"
        )
    return await git.ref(session, _repository(session, address), name=fragment or "HEAD")


def _repository(session: Session, address: str) -> git.GitRepository:
    if on_network(address):
        return git.repository(session, address)
    path = address.removeprefix("file://")
    found = host.directory(
        session, host.Host(), path=path, exclude=(), include=(), no_cache=False, gitignore=False
    )
    return git.as_git(session, found)


def secret(session: Session, it: Address) -> Secret:
    """Point to the secret at this address; a bare name is a variable of the environment."""
    uri, _, query = (it.value if ":" in it.value else f"env://{it.value}").partition("?")
    parameters = parse_qs(query)
    keys = parameters.pop("cacheKey", [None])
    if parameters:
        uri += "?" + urlencode(parameters, doseq=True)
    return from_address(session, uri, keys[0])


def service_at(session: Session, it: Address) -> service.Service:
    """Make a service of a port that the host reaches.

    Raises:
        QueryError: not tcp://HOST:PORT.
    """
    parts = urlsplit(it.value)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in {"tcp", "udp"} or not parts.hostname or not port:
        raise QueryError(f"address({it.value!r}): a service is at tcp://HOST:PORT")
    forward = {"frontend": port, "backend": port, "protocol": parts.scheme.upper()}
    return service.host_service(session, host.Host(), ports=(forward,), host=parts.hostname)


def socket(session: Session, it: Address) -> Socket:
    """Take the socket at this path of the host."""
    return host.unix_socket(session, host.Host(), path=it.value.removeprefix("unix://"))


FIELDS: dict[str, Callable[..., Any]] = {
    **fields_of(("value", "value")),
    "container": container,
    "directory": directory,
    "file": file,
    "gitRef": git_ref,
    "gitRepository": git_repository,
    "secret": secret,
    "service": service_at,
    "socket": socket,
}
