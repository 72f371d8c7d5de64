"""Unix sockets of the host, and containers that reach them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api.container import Container
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError
from pipelines.engine.op import SocketMount

__all__ = ["FIELDS", "Socket", "with_unix_socket"]


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket by its path on the host: the path keys what uses it, what is said there does not."""

    TYPE: ClassVar[str] = "Socket"

    path: str


def with_unix_socket(
    _session: Session, it: Container, *, path: str, source: Socket, owner: str, expand: bool
) -> Container:
    """Show a socket at a path."""
    target = it.at(path, expand)
    if target == "/":
        raise QueryError("Container.withUnixSocket: / is a directory; give the path of the socket")
    return it.mounted(SocketMount(target, source.path, owner))


FIELDS: dict[str, Callable[..., Any]] = {}
