"""The world: git servers and web servers, put together when the first is asked for.

The part of the composition root that ops and fields share: fields pin what moves, ops make
the trees of what is pinned.
"""

import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from pipelines.engine.names.pins import Pins
from pipelines.engine.names.refs import Pinned, Refs
from pipelines.engine.names.web import lockable, origin
from pipelines.engine.op import AnyService, GitAccess, GitTree, HttpFile, HttpSource
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.tree import Tree

if TYPE_CHECKING:
    from pipelines.engine.run.git import GitSources
    from pipelines.engine.run.http import HttpSources

__all__ = ["World"]

_GIT_PORT, _WEB_PORT = 9418, 80

Reach = Callable[[AnyService, int], AbstractAsyncContextManager[tuple[str, int]]]


class World:
    """What lies beyond this machine; `session` is the session's own directory."""

    def __init__(
        self,
        layout: Layout,
        files: Files,
        session: Path,
        environ: Mapping[str, str],
        *,
        group: int,
        pins: Pins,
        reach: Reach,
    ) -> None:
        self._pins = pins
        self._reach = reach
        self._layout = layout
        self._files = files
        self._session = session
        self._environ = environ
        self.group = group

    @cached_property
    def _git(self) -> "GitSources":
        from pipelines.engine.run.git import GitSources
        from pipelines.engine.sources.gitremote import Remotes
        from pipelines.engine.store.mirrors import Mirrors

        remotes = Remotes(self._session / "memory", self._environ, self.group)
        return GitSources(remotes, Mirrors(self._layout), self._files, self._session / "git")

    @cached_property
    def _http(self) -> "HttpSources":
        from pipelines.engine.images.registry.transport import Http
        from pipelines.engine.run.http import HttpSources
        from pipelines.engine.store.mirrors import Downloads

        downloads = Downloads(self._layout)
        return HttpSources(Http(self._environ), self._files, downloads, self._session / "http")

    @cached_property
    def smudges(self) -> bool:
        """Whether LFS pointers become files here: git-lfs is installed."""
        return shutil.which("git-lfs", path=self._environ.get("PATH")) is not None

    async def pin(self, access: GitAccess, name: str) -> Pinned:
        """Find what a ref stands for: as it is locked, or as the server says."""
        if access.remote.local or access.service:  # ours, like a host directory: nothing to lock
            return (await self.refs(access)).find(name)
        row = f"{access.remote.url} {name}"
        if locked := self._pins.find("git", row):
            commit, _, full = locked.partition(" ")
            found = Pinned(full, commit)
        else:
            self._pins.demand("git", row)
            found = (await self.refs(access)).find(name)
        self._pins.made("git", row, f"{found.commit} {found.name}".strip())
        return found

    async def refs(self, access: GitAccess) -> Refs:
        """Look at a repository's refs."""
        async with self._by_service(access) as reached:
            return await self._git.refs(reached)

    async def refs_in(self, tree: Tree) -> Refs:
        """Look at the refs of a repository that stands in a directory."""
        return await self._git.refs_in(tree)

    async def ancestor(
        self, access: GitAccess | None, tree: Tree | None, pair: Sequence[str]
    ) -> str:
        """Find the best common ancestor of two commits."""
        if access is None:
            return await self._git.ancestor(None, tree, pair)
        async with self._by_service(access) as reached:
            return await self._git.ancestor(reached, None, pair)

    async def body(self, source: HttpSource) -> tuple[str, int]:
        """Pin a download."""
        if source.service is not None:
            async with self._web_service(source) as reached:
                return await self._http.body(reached)
        if source.checksum:
            return await self._http.body(source)
        row = lockable(source.url)
        if locked := self._pins.find("http", row):
            found = await self._http.body(replace(source, checksum=locked))
        else:
            self._pins.demand("http", row)
            found = await self._http.body(source)
        self._pins.made("http", row, f"sha256:{found[0]}")
        return found

    async def make(self, op: GitTree | HttpFile, local: Tree | None, slot: anyio.Semaphore) -> Tree:
        """Make the tree of what is pinned."""
        if isinstance(op, GitTree):
            return await self._tree(op, local, slot)
        return await self._http.file(op)

    async def _tree(self, op: GitTree, local: Tree | None, slot: anyio.Semaphore) -> Tree:
        if op.access is None or op.access.service is None:
            return await self._git.tree(op, local, slot)
        async with self._by_service(op.access) as reached:
            return await self._git.tree(replace(op, access=reached), local, slot)

    @asynccontextmanager
    async def _by_service(self, access: GitAccess) -> AsyncIterator[GitAccess]:
        """Hold the service that a repository is reached by, if it is."""
        if access.service is None:
            yield access
            return
        scheme, _, port = origin(access.remote.url)
        port = _GIT_PORT if scheme == "git" and port == _WEB_PORT else port
        async with self._reach(access.service, port) as (host, at):
            yield replace(access, via=f"{scheme}://{host}:{at}/")

    @asynccontextmanager
    async def _web_service(self, source: HttpSource) -> AsyncIterator[HttpSource]:
        assert source.service is not None
        async with self._reach(source.service, origin(source.url)[2]) as (host, at):
            yield replace(source, via=f"{host}:{at}")

    def close(self) -> None:
        """End what is in the air."""
        if "_http" in self.__dict__:
            self._http.http.close()
