"""The host: directories and files of the machine, relative to the session's directory."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api.directory import Directory
from pipelines.engine.api.file import File
from pipelines.engine.api.session import Session
from pipelines.engine.op import Edge, HostTree

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


FIELDS: dict[str, Callable[..., Any]] = {"directory": directory, "file": file}
