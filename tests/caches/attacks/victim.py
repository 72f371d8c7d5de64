"""What is attacked: a project whose trusted runs save a cache, and the runs that restore it.

The attacker may do to the backend whatever its protocol allows (write, replace and delete any
object, as with credentials that all jobs share), and runs our own code as a pull request does.
It has no signing key. A move succeeds if a run gets a byte that no trusted run has saved (a pull
request: that neither a trusted run nor itself has saved), if anything outside of the place of
a restore is read, written or deleted, or if a run that should miss does not end in time.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

from pipelines.caches import generation
from pipelines.caches.errors import CacheError
from pipelines.caches.generation import Generation
from pipelines.caches.heads import Heads
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from pipelines.caches.transport import Head, Transport
from pipelines.caches.trust import Signer, Verifier
from tests.caches.backends import Backend

KEY = "volume/ab12/go-build"
GOOD = {"main.a": b"good" * 20_000, "small": b"good"}
EVIL = {"main.a": b"evil" * 20_000, "small": b"evil"}
SECONDS = 30.0

Files = Mapping[str, bytes]


async def unmerged(digest: str) -> Generation:
    raise AssertionError(f"{digest} would be merged")


@dataclass
class World:
    """A backend with one good generation, its keys, and room on the disk."""

    backend: Backend
    root: Path
    signer: Signer
    transport: Transport
    good: Generation | None = None
    made: int = 0

    @classmethod
    async def make(cls, backend: Backend, root: Path) -> "World":
        signer, _ = Signer.make()
        world = cls(backend, root, signer, backend.open())
        world.good = await world.save(GOOD)
        await world.heads("trusted", signed=True).publish(KEY, world.good, unmerged)
        return world

    def heads(self, scope: str, *, signed: bool = False, memory: Path | None = None) -> Heads:
        """The heads of a run: only trusted runs have the key, everybody verifies."""
        reads = ("trusted",) if scope == "trusted" else (scope, "trusted")
        return Heads(
            self.transport,
            reads,
            scope,
            signer=self.signer if signed else None,
            verifier=Verifier(self.signer.public),
            memory=memory,
        )

    async def save(self, files: Files, base: Generation | None = None) -> Generation:
        """Save files as a generation that no head names yet."""
        self.made += 1
        tree = self.root / f"tree-{self.made}"
        tree.mkdir()
        for name, content in files.items():
            (tree / name).write_bytes(content)
        made, _ = await save(self.transport, base, {"": tree}, kind="build")
        return made

    async def run(self, scope: str = "trusted", memory: Path | None = None) -> Files | None:
        """Restore as a run does; None is a miss."""
        self.made += 1
        into = self.root / f"into-{self.made}"
        into.mkdir()
        transport = self.backend.open()  # a run of its own remembers nothing
        heads = self.heads(scope, memory=memory)
        heads._transport = transport
        try:
            with anyio.fail_after(SECONDS):
                found = await heads.find(KEY)
                if found is None:
                    return None
                made = await generation.load(transport, found.generation)
                await restore(transport, made, "", into)
        except CacheError:
            assert not os.listdir(into), "a restore that failed left something"
            return None
        finally:
            await transport.aclose()
        return {path.name: path.read_bytes() for path in into.iterdir()}

    # What the attacker does to the backend itself.

    async def replace(self, name: str, content: bytes) -> None:
        """Put other bytes under an object's name."""
        fresh = self.backend.open()
        await fresh.delete(name)
        await fresh.write(name, content)
        await fresh.aclose()

    async def put_head(self, name: str, content: bytes) -> None:
        """Put a head under a name, after what stands there."""
        await self.transport.swap(name, content, await self.transport.heads(name))

    async def head(self, name: str) -> Head:
        (head,) = await self.transport.heads(name)
        return head

    async def names(self, prefix: str) -> list[str]:
        return [item.name async for item in self.transport.list(prefix)]
