"""The queries that a travelling cache sends to a Dagger engine.

They are chains of fields, as the SDK sends them; ids and paths are texts. All of them are of the
public API of 0.21.
"""

from collections.abc import Awaitable, Callable
from json import dumps
from pathlib import Path
from typing import Any
from uuid import uuid4

from graphql import DocumentNode, FieldNode, parse_value
from graphql.language import ArgumentNode, NameNode

from pipelines._travel.wire import Mount, before, chained, remounted
from pipelines.caches.listing import SCRIPT

__all__ = ["Asking", "said"]

VOLUME, OUT, LISTING, PATHS = (
    f"/.pipelines-travel/{name}" for name in ("volume", "out", "listing", "paths")
)
COPY = 'mkdir "$2" && cd "$1" && xargs -0 sh -c \'exec cp -a --parents "$@" "$0"\' "$2" < "$3"'


class Asking:
    """Asks one session; `send` passes a request on and gives its answer. Paths are absolute."""

    def __init__(self, send: Callable[[DocumentNode], Awaitable[Any]]) -> None:
        self._send = send

    async def platform(self) -> str:
        """Ask which platform the engine runs commands on, such as `linux/amd64`."""
        return str(await self._ask(_field("defaultPlatform")))

    async def name(self) -> str:
        """Ask for the engine's name, which is its own as long as it lives."""
        return str(await self._ask(_field("engine"), _field("name")))

    async def imported(self, image: Path) -> str:
        """Upload an image; give the id of the directory that it holds, once it is unpacked."""
        path = _field("file", path=str(image))
        file = await self._ask(_field("host"), path, _field("id"))
        source = _field("import", source=file)
        return str(await self._ask(_field("container"), source, _field("rootfs"), _field("sync")))

    async def root(self, mount: Mount) -> str:
        """Give the id of the root directory of the container that mounted a volume."""
        return str(_innermost(await self._send(before(mount, "rootfs", "id"))))

    async def list(self, root: str, mount: Mount, mark: str, into: Path) -> None:
        """List a volume into a file."""
        listed = _exec("sh", "-c", SCRIPT, "sh", VOLUME, mark, LISTING)
        await self._ask(
            *_box(root), remounted(mount, VOLUME), listed,
            _field("file", path=LISTING), _field("export", path=str(into)),
        )  # fmt: skip

    async def fetch(self, root: str, mount: Mount, paths: Path, into: Path) -> None:
        """Fetch files of a volume, named in a file and closed by zeros, into a directory."""
        host = _field("file", path=str(paths))
        named = await self._ask(_field("host"), host, _field("id"))
        copied = _exec("sh", "-c", COPY, "sh", VOLUME, OUT, PATHS)
        await self._ask(
            *_box(root), _field("withMountedFile", path=PATHS, source=named),
            remounted(mount, VOLUME), copied,
            _field("directory", path=OUT), _field("export", path=str(into)),
        )  # fmt: skip

    async def copy(self, root: str, mount: Mount, volume: str) -> None:
        """Copy what a volume holds into another, which is mounted alike."""
        copied = _exec("cp", "-a", f"{VOLUME}/.", OUT)
        await self._ask(
            *_box(root), remounted(mount, VOLUME), remounted(mount, OUT, volume), copied,
            _field("sync"),
        )  # fmt: skip

    async def _ask(self, *parts: FieldNode) -> Any:
        return _innermost(await self._send(chained(parts)))


def said(exc: Exception) -> str:
    """Give an error in words: what the engine's answer has, without its form."""
    try:
        (first, *_) = exc.errors  # type: ignore[attr-defined]
        more = first.get("extensions") or {}
        text = str(first["message"]).partition(" [traceparent")[0]
    except (AttributeError, KeyError, TypeError, ValueError):
        return str(exc) or type(exc).__name__
    if more.get("_type") != "EXEC_ERROR":
        return text
    return (
        f"the command that lists or copies it failed: {more.get('stderr') or text}; the image that "
        "mounts the volume needs sh, find, stat, cp and xargs"
    )


def _box(root: str) -> tuple[FieldNode, ...]:
    """Make a container of a root directory alone; what it runs is never taken from a cache."""
    return (
        _field("container"),
        _field("withRootfs", directory=root),
        _field("withEnvVariable", name="PIPELINES_TRAVEL", value=uuid4().hex),
    )


def _exec(*args: str) -> FieldNode:
    return _field("withExec", args=list(args))


def _field(name: str, /, **given: str | list[str]) -> FieldNode:
    arguments = tuple(
        ArgumentNode(name=NameNode(value=key), value=parse_value(dumps(value)))
        for key, value in given.items()
    )
    return FieldNode(name=NameNode(value=name), arguments=arguments)


def _innermost(answer: Any) -> Any:
    while isinstance(answer, dict):
        (answer,) = answer.values()
    return answer
