"""The query root."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api import lazily
from pipelines.engine.api.cachevolume import CacheVolume
from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory
from pipelines.engine.api.file import File
from pipelines.engine.api.host import Host
from pipelines.engine.api.ids import Node
from pipelines.engine.api.secret import Secret, from_address, from_text
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError
from pipelines.engine.keys import normal_platform
from pipelines.engine.op import CacheVolume as Volume
from pipelines.engine.op import Edge, Empty, Scratch, Write

__all__ = ["FIELDS", "Root"]


@dataclass(frozen=True, slots=True)
class Root:
    """Where every query starts."""

    TYPE: ClassVar[str] = "Query"


def container(session: Session, _root: Root, *, platform: str | None) -> Container:
    """Start a container from nothing.

    Raises:
        QueryError: the platform is not spelled os/arch[/variant].
    """
    return Container(normal_platform(platform or session.engine.platform), Edge(Scratch()))


def directory(_session: Session, _root: Root) -> Directory:
    """Start a directory from nothing."""
    return Directory(Edge(Empty()))


def file(_session: Session, _root: Root, *, name: str, contents: str, permissions: int) -> File:
    """Write a file.

    Raises:
        QueryError: the name is a path.
    """
    if name in {"", ".", ".."} or "/" in name:
        raise QueryError(f"file({name!r}): a name is wanted, not a path")
    return File(Edge(Write(Edge(Empty()), name, contents.encode(), permissions)))


def host(_session: Session, _root: Root) -> Host:
    """Look at the host."""
    return Host()


def cache_volume(
    _session: Session,
    _root: Root,
    *,
    key: str,
    source: Directory | None,
    sharing: str,
    owner: str,
) -> CacheVolume:
    """Name a cache volume.

    Raises:
        QueryError: the key is empty.
    """
    if not key:
        raise QueryError("cacheVolume: key is empty; name what the volume caches")
    seed = source.edge if source is not None else None
    return CacheVolume(Volume(key, "", sharing, owner, seed))


def set_secret(session: Session, _root: Root, *, name: str, plaintext: str) -> Secret:
    """Hand over a secret."""
    return from_text(session, name, plaintext)


def secret(session: Session, _root: Root, *, uri: str, cache_key: str | None) -> Secret:
    """Point to a secret."""
    return from_address(session, uri, cache_key)


def node(_session: Session, _root: Root, *, id_: Node) -> Node:
    """Give the object of an id."""
    return id_


def version(session: Session, _root: Root) -> str:
    """Give the version of the API."""
    return session.engine.version


def default_platform(session: Session, _root: Root) -> str:
    """Give the platform of containers that name none."""
    return session.engine.platform


def loader(kind: str) -> Callable[..., Node]:
    """Make the function of a `load…FromID` field: `node` with one type expected."""

    def load(session: Session, _root: Root, *, id_: Any) -> Node:
        return session.objects.find(id_, kind)

    return load


FIELDS: dict[str, Callable[..., Any]] = {
    "address": lazily.Field("address", "of"),
    "cacheVolume": cache_volume,
    "changeset": lazily.Field("changeset", "empty"),
    "container": container,
    "defaultPlatform": default_platform,
    "directory": directory,
    "engine": lazily.Field("store", "engine"),
    "envFile": lazily.Field("envfile", "new"),
    "error": lazily.Field("error", "new"),
    "file": file,
    "host": host,
    "json": lazily.Field("jsonvalue", "new"),
    "node": node,
    "secret": secret,
    "setSecret": set_secret,
    "version": version,
}
