"""The host: directories and files of the machine, relative to the session's directory."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api import imaging
from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory
from pipelines.engine.api.file import File
from pipelines.engine.api.session import Session
from pipelines.engine.api.socket import Socket
from pipelines.engine.op import Edge, HostTree, Scratch

__all__ = ["FIELDS", "Host"]


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that the session runs on."""

    TYPE: ClassVar[str] = "Host"


def _absolute(session: Session, path: str) -> str:
    expanded = os.path.expanduser(path) if path.startswith("~") else path
    return os.path.normpath(os.path.join(session.engine.workdir, expanded))


def directory(
    session: Session,
    _host: Host,
    *,
    path: str,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    no_cache: bool,
    gitignore: bool,
) -> Directory:
    """Take a directory; it is read once a session, unless `noCache` says otherwise."""
    nonce = session.nonce() if no_cache else ""
    found = HostTree(_absolute(session, path), "dir", include, exclude, gitignore, nonce)
    return Directory(Edge(found))


def file(session: Session, _host: Host, *, path: str, no_cache: bool) -> File:
    """Take a file; it is read once a session, unless `noCache` says otherwise."""
    nonce = session.nonce() if no_cache else ""
    return File(Edge(HostTree(_absolute(session, path), "file", nonce=nonce)))


def find_up(session: Session, _host: Host, *, name: str, no_cache: bool) -> str | None:  # noqa: ARG001
    """Look for a name in the session's directory and all above it; relative to the former."""
    start = os.path.realpath(session.engine.workdir)
    at = start
    while not os.path.lexists(found := os.path.join(at, name)):
        if at == (at := os.path.dirname(at)):
            return None
    return os.path.relpath(found, start)


def unix_socket(session: Session, _host: Host, *, path: str) -> Socket:
    """Take a unix socket; it is connected to when a command does."""
    return Socket(_absolute(session, path.removeprefix("unix://")))


async def container_image(session: Session, host: Host, *, name: str) -> Container:
    """Take an image from the container engine of this machine."""
    archive = file(session, host, path=await session.engine.saved_image(name), no_cache=True)
    empty = Container(session.engine.platform, Edge(Scratch()))
    return await imaging.import_(session, empty, source=archive, tag="")


FIELDS: dict[str, Callable[..., Any]] = {
    "containerImage": container_image,
    "directory": directory,
    "file": file,
    "findUp": find_up,
    "unixSocket": unix_socket,
}
