"""Git sources: refs, and trees of commits, by way of the store's mirrors.

Theory of operation
    A commit's tree is written into a scratch directory of the session (`gitcheckout`), read
    like a host directory, and its files are linked into the store; the scratch goes. Equal
    files of different commits are one file there, and the tree's digest is what early cutoff
    sees. Submodules are trees of other commits, put in their places.

    A repository that stands in a directory (`asGit`) is not run as it is, because its
    configuration could run programs: refs and objects are taken out of it into a bare
    repository of our own, once a session.
"""

import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from pipelines.engine.digest import Digest
from pipelines.engine.errors import SourceError
from pipelines.engine.names.refs import Refs, is_commit, object_format
from pipelines.engine.names.remote import Remote, relative
from pipelines.engine.op import GitAccess, GitTree
from pipelines.engine.patterns import Matcher
from pipelines.engine.run.contents import Contents
from pipelines.engine.sources import host
from pipelines.engine.sources.gitcheckout import Checkout, Damaged, write
from pipelines.engine.sources.gitfaults import diagnose
from pipelines.engine.sources.gitremote import Remotes
from pipelines.engine.tree import Tree
from pipelines.engine.tree import ops as treeops

__all__ = ["GitSources", "Mirrors"]

DEEPEST = 10
_PARTS = ("HEAD", "packed-refs", "shallow", "refs", "objects")
_LEFT_OUT = ("objects/info/alternates", "objects/info/http-alternates", "**/*.lock")


class Mirrors(Protocol):
    """Where mirrors are kept."""

    def open(self, url: str) -> AbstractAsyncContextManager[Path]:
        """Hold a mirror for the length of a `with` block."""
        ...

    def empty(self, home: Path) -> None:
        """Throw away what an open mirror holds."""
        ...


@dataclass(slots=True)
class GitSources:
    """Answers questions about repositories; `scratch` is the session's own directory."""

    remotes: Remotes
    mirrors: Mirrors
    files: Contents
    scratch: Path
    _refs: dict[GitAccess, Refs] = field(default_factory=dict, init=False)
    _repositories: dict[Digest, Path] = field(default_factory=dict, init=False)
    _locks: dict[object, anyio.Lock] = field(default_factory=dict, init=False)
    _count: Callable[[], int] = field(default=count().__next__, init=False)

    async def refs(self, access: GitAccess) -> Refs:
        """Look at a repository's refs, once a session."""
        async with self._locks.setdefault(access, anyio.Lock()):
            known = self._refs.get(access)
            if known is None:
                known = self._refs[access] = await self.remotes.refs(access)
        return known

    async def refs_in(self, tree: Tree) -> Refs:
        """Look at the refs of a repository that stands in a directory."""
        home = await self._repository(tree)
        git = await self.remotes.git()
        with self.remotes.local() as made:
            ran = await git.run(["ls-remote", "--symref", "--", f"file://{home}"], made.env)
        if ran.code != 0:
            fault = diagnose(ran.stderr)
            raise SourceError(f"asGit: can not list the refs of the directory: {fault.said}")
        return Refs.of_listing("of the directory", ran.stdout.decode("utf-8", "replace"))

    async def ancestor(
        self, access: GitAccess | None, tree: Tree | None, pair: Sequence[str]
    ) -> str:
        """Find the best common ancestor of two commits."""
        if tree is not None:
            return await self._merge_base(await self._repository(tree), "the directory", pair)
        assert access is not None
        url = access.remote.url
        async with self.mirrors.open(url) as mirror:
            first, second = pair
            await self.remotes.fetch(mirror, access, [first], "", history=True)
            home = await self.remotes.fetch(mirror, access, [second], "", history=True)
            return await self._merge_base(home, url, pair)

    async def _merge_base(self, home: Path, url: str, pair: Sequence[str]) -> str:
        git = await self.remotes.git()
        with self.remotes.local() as made:
            ran = await git.run([f"--git-dir={home}", "merge-base", *pair], made.env)
        found = ran.stdout.decode().strip()
        if ran.code != 0 or not is_commit(found):
            raise SourceError(f"git: {pair[0]} and {pair[1]} of {url} have no common ancestor")
        return found

    async def tree(self, op: GitTree, local: Tree | None, slot: anyio.Semaphore) -> Tree:
        """Give the tree of a commit."""
        if local is not None:
            home = await self._repository(local)
            written = await self._scratched(op, home, slot, {})
            return await self._complete(written, op, None, slot, 0)
        assert op.access is not None
        return await self._fetched(op, op.access, slot, 0)

    async def _fetched(
        self, op: GitTree, access: GitAccess, slot: anyio.Semaphore, depth: int
    ) -> Tree:
        """Fetch and write; a mirror that proves to be damaged is made anew, once."""
        async with self.mirrors.open(access.remote.url) as mirror:
            try:
                written = await self._from(op, access, mirror, slot)
            except Damaged:
                await to_thread.run_sync(self.mirrors.empty, mirror)
                written = await self._from(op, access, mirror, slot)
        return await self._complete(written, op, access, slot, depth)

    async def _from(
        self, op: GitTree, access: GitAccess, mirror: Path, slot: anyio.Semaphore
    ) -> "_Written":
        """Fetch into a mirror, and write from it."""
        history = op.keep_git_dir and op.depth != 1
        wanted = [op.commit, *dict(op.tags).values()]
        home = await self.remotes.fetch(mirror, access, wanted, op.wanted, history=history)
        if not op.smudged:
            return await self._scratched(op, home, slot, {})
        with self.remotes.smudging(access, mirror) as env:
            return await self._scratched(op, home, slot, env)

    async def _scratched(
        self, op: GitTree, home: Path, slot: anyio.Semaphore, smudging: Mapping[str, str]
    ) -> "_Written":
        git = await self.remotes.git()
        wanted = Checkout(home, op.commit, op.keep_git_dir, op.origin, op.ref, op.depth, op.tags)
        async with slot, self._room() as room:
            with self.remotes.local() as made:
                submodules = await write(git, made.env, wanted, room, smudging)
            tree = await to_thread.run_sync(self._taken_in, room)
        return _Written(tree, tuple((s.path, s.url, s.commit) for s in submodules))

    def _taken_in(self, room: Path) -> Tree:
        """Read what was written, and link it into the store."""
        tree = host.read(str(room)).tree
        for path, entry in tree.items():
            if entry.kind == "file":
                self.files.adopt(room / path, entry)
        return tree

    async def _complete(
        self,
        written: "_Written",
        op: GitTree,
        access: GitAccess | None,
        slot: anyio.Semaphore,
        depth: int,
    ) -> Tree:
        """Put submodules in their places."""
        tree = written.tree
        for path, url, commit in written.submodules:
            if depth >= DEEPEST:
                raise SourceError(f"git: submodule {path!r}: more than {DEEPEST} deep")
            inner = _inner(access, url, path)
            wanted = GitTree(commit, smudged=op.smudged, access=inner)
            sub = await self._fetched(wanted, inner, slot, depth + 1)
            tree = treeops.copy_tree(tree, sub, path, None, None)
        return tree

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[Path]:
        room = self.scratch / f"git-{self._count()}"
        await to_thread.run_sync(lambda: room.mkdir(mode=0o755, parents=True))
        try:
            yield room
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(lambda: shutil.rmtree(room, ignore_errors=True))

    async def _repository(self, tree: Tree) -> Path:
        """Make a bare repository of what a directory's `.git` holds."""
        async with self._locks.setdefault(tree.digest, anyio.Lock()):
            known = self._repositories.get(tree.digest)
            if known is None:
                home = self.scratch / f"repository-{self._count()}"
                await self._assemble(tree, home)
                known = self._repositories[tree.digest] = home
        return known

    async def _assemble(self, tree: Tree, home: Path) -> None:
        found = tree.get(".git")
        base = ".git/" if found is not None else ""
        if found is not None and found.kind != "dir":
            raise SourceError(
                "asGit: .git of the directory is a file: a worktree or a submodule, whose "
                "repository is elsewhere; use the directory of the repository itself"
            )
        if f"{base}HEAD" not in tree or f"{base}objects" not in tree:
            raise SourceError(
                "asGit: the directory is no git repository: it has no .git; when it comes from "
                "host().directory, see that .git is not excluded"
            )
        inner = treeops.select(tree, ".git", "dir") if base else tree
        _check(inner)
        kept = treeops.keep(inner, Matcher((*_PARTS,), _LEFT_OUT))
        await to_thread.run_sync(self._laid_out, kept, home)

    def _laid_out(self, parts: Tree, home: Path) -> None:
        home.mkdir(mode=0o700, parents=True)
        self.files.materialise(parts, home)
        for name in ("refs", "objects"):
            (home / name).mkdir(exist_ok=True)
        (home / "config").write_text(_CONFIG + (_SHA256 if _format(home) == "sha256" else _SHA1))


@dataclass(frozen=True, slots=True)
class _Written:
    """A tree without its submodules: (path, url, commit) each."""

    tree: Tree
    submodules: tuple[tuple[str, str, str], ...]


_CONFIG = "[core]\n\tbare = true\n"
_SHA1 = "\trepositoryformatversion = 0\n"
_SHA256 = "\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"


def _check(inner: Tree) -> None:
    """Refuse a repository of which a part is elsewhere, or written in a way that is not known.

    Raises:
        SourceError: says which part.
    """
    if "objects/info/alternates" in inner:
        raise SourceError(
            "asGit: the repository borrows objects from another one (objects/info/alternates), "
            "which is not in the directory; `git repack -a -d` in it makes it whole"
        )
    if "reftable" in inner:
        raise SourceError(
            "asGit: the repository keeps its refs as a reftable, which is not read here; "
            "`git refs migrate --ref-format=files` turns them into files"
        )


def _format(home: Path) -> str:
    """Tell the object format of a repository by the ids that its refs are."""
    refs = [path for path in (home / "refs").rglob("*") if path.is_file()]
    text = next((path.read_text() for path in refs), "")
    packed = home / "packed-refs"
    if not text and packed.exists():
        lines = [line for line in packed.read_text().splitlines() if not line.startswith("#")]
        text = lines[0].split()[0] if lines else ""
    return object_format(text.strip())


def _inner(access: GitAccess | None, url: str, path: str) -> GitAccess:
    """Say how a submodule is reached: with our credentials only where they are good."""
    if access is None:
        if url.startswith(("./", "../")):
            raise SourceError(
                f"git: submodule {path!r} is at {url!r}, relative to a repository whose address "
                "is not known; give it a full address in .gitmodules"
            )
        return GitAccess(relative(Remote("", "https"), url))
    remote = relative(access.remote, url)
    same = remote.protocol == access.remote.protocol and (
        remote.protocol == "ssh" or remote.authority == access.remote.authority
    )
    if same:
        return replace(access, remote=remote)
    return GitAccess(remote)
