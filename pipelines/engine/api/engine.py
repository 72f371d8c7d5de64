"""The contract of the engine that fields call: what forcing a leaf may ask for.

Fields that extend the graph never call it (`from` and `import` do: an image's configuration
decides what follows). Everything is awaited in the query's own scope, so that a client that
leaves cancels what only it was waiting for. Errors are `EngineError`s.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pipelines.engine.accounts import Held, Limits, Wanted
from pipelines.engine.names.refs import Pinned, Refs
from pipelines.engine.op import (
    AnyService,
    Archive,
    Edge,
    Forward,
    GitAccess,
    HttpSource,
    Op,
    Tunnel,
)
from pipelines.engine.result import Result
from pipelines.engine.scrub import Hidden
from pipelines.engine.tree import Entry, Tree

if TYPE_CHECKING:
    from pipelines.engine.text.search import Hit, Search

__all__ = ["Engine", "Image", "Store", "World"]


class Image(Protocol):
    """A pinned image: `digest` names it, `config` is its OCI config document."""

    @property
    def digest(self) -> str:
        """The manifest's digest, or that of a package image's recipe."""
        ...

    @property
    def reference(self) -> str:
        """What it was asked for as, with what it was pinned to."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """The OCI config document."""
        ...


class World(Protocol):
    """What the API asks of servers while the graph is extended; each thing once a session."""

    @property
    def smudges(self) -> bool:
        """Whether LFS pointers become files here."""
        ...

    async def pin(self, access: GitAccess, name: str) -> Pinned:
        """Find what a ref stands for: as it is locked, or as the server says."""
        ...

    async def refs(self, access: GitAccess) -> Refs:
        """Look at a repository's refs."""
        ...

    async def refs_in(self, tree: Tree) -> Refs:
        """Look at the refs of a repository that stands in a directory."""
        ...

    async def ancestor(
        self, access: GitAccess | None, tree: Tree | None, pair: Sequence[str]
    ) -> str:
        """Find the best common ancestor of two commits."""
        ...

    async def body(self, source: HttpSource) -> tuple[str, int]:
        """Pin a download: the hex sha-256 and size of its body."""
        ...


class Store(Protocol):
    """What the API asks of the store's keeper."""

    async def limits(self) -> Limits:
        """Give what the store is kept to."""
        ...

    async def holdings(self) -> Sequence[Held]:
        """List what the store holds."""
        ...

    async def prune(self, wanted: Wanted) -> None:
        """Delete what is too much, now or, if this session holds on to some of it, at its end."""
        ...


Read = Callable[[Entry], bytes]
T = TypeVar("T")


class Engine(Protocol):
    """What the API asks of the engine."""

    @property
    def insecure(self) -> bool:
        """Whether commands may have every capability that the engine has."""
        ...

    @property
    def store(self) -> Store:
        """The store's keeper."""
        ...

    async def reading(self, work: Callable[[Read], T]) -> T:
        """Do work that reads the bytes of files, in a thread."""
        ...

    async def search(self, tree: Tree, search: "Search") -> "Sequence[Hit]":
        """Look for text in a tree's files."""
        ...

    async def saved_image(self, name: str) -> str:
        """Take an image out of the host's container engine: the path of an archive."""
        ...

    @property
    def workdir(self) -> Path:
        """The directory that the session's relative host paths start from."""
        ...

    @property
    def platform(self) -> str:
        """The platform of a container that names none: `linux/amd64`."""
        ...

    @property
    def version(self) -> str:
        """The version that the session answers."""
        ...

    @property
    def epoch(self) -> int | None:
        """The time of all that is written into images (`SOURCE_DATE_EPOCH`), or None.

        Raises:
            ImageError: the variable is set to something else than seconds.
        """
        ...

    @property
    def group(self) -> int:
        """The process group of what the machine runs for the session; it ends with that."""
        ...

    @property
    def hidden(self) -> Hidden:
        """The secrets that must not be in what the session says."""
        ...

    @property
    def world(self) -> World:
        """What lies beyond this machine."""
        ...

    def warning(self, text: str) -> None:
        """Tell the user of something that is no error."""
        ...

    async def solve(self, op: Op) -> Result:
        """Give an op's result, from the cache or by running it."""
        ...

    async def tree(self, edge: Edge) -> Tree:
        """Solve an edge and give it as a tree; a snapshot is read as one."""
        ...

    async def status(self, edge: Edge, path: str, follow: bool) -> Entry | None:
        """Look one path up in what an edge gives, without reading the rest of it.

        `path` is relative, "" the root; `follow` says whether a link at its end is followed.
        None if there is nothing. See `tree.paths.status`.
        """
        ...

    async def resolve_image(self, ref: str, platform: str) -> Image:
        """Pin an image reference for a platform."""
        ...

    async def log_in(self, address: str, username: str, secret: Callable[[], bytes]) -> None:
        """Use a credential for a registry, for the rest of the session."""
        ...

    async def log_out(self, address: str) -> None:
        """Forget a credential that the session was given."""
        ...

    async def pull_image(self, ref: str, platform: str, service: AnyService) -> Image:
        """Pull an image from a registry that is a service."""
        ...

    async def import_image(self, edge: Edge, tag: str) -> Image:
        """Read the image out of an archive, a file tree; `tag` chooses among several."""
        ...

    async def publish(self, op: Archive, address: str, service: AnyService | None) -> str:
        """Push what an archive would hold, and give its reference with the digest.

        `service` is the registry, if it is one.
        """
        ...

    async def export_image(self, op: Archive, name: str) -> None:
        """Write what an archive would hold to an OCI layout or the host's container runtime."""
        ...

    async def blob(self, digest: str) -> bytes:
        """Give a blob whole: an exec's output."""
        ...

    async def read(self, entry: Entry, limit: int | None) -> bytes:
        """Give a file's bytes, at most `limit` of them."""
        ...

    async def export_tree(self, tree: Tree, path: str, wipe: bool) -> str:
        """Write a tree into a host directory and give that directory's absolute path."""
        ...

    async def export_changes(self, tree: Tree, gone: Sequence[str], path: str) -> str:
        """Write a tree into a host directory and remove paths there; give the directory."""
        ...

    async def export_file(self, tree: Tree, path: str, allow_parent_dir_path: bool) -> str:
        """Write a file tree to a host path and give the absolute path that was written."""
        ...

    async def start_service(self, service: AnyService) -> tuple[Forward, ...]:
        """Start a service and keep it; give the ports of a tunnel."""
        ...

    async def stop_service(self, service: AnyService, kill: bool) -> None:
        """Stop a service and wait until it is over."""
        ...

    async def until_over(self, service: AnyService) -> None:
        """Wait until a service that was started is over, and raise what ended it."""
        ...

    def open_tunnel(self, tunnel: Tunnel) -> tuple[Forward, ...] | None:
        """Give the ports of a tunnel that was started; None for one that was not."""
        ...

    def reach(self, service: AnyService, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        """Hold a service; give an address on this machine behind which its port is."""
        ...

    def mended(self) -> bool:
        """Hear that recorded content is missing; True if asking again makes it anew."""
        ...

    def notice(self, text: str) -> None:
        """Tell people something."""
        ...
