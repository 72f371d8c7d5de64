"""Heads: which generation stands under a key, in the scopes that a run may read.

    heads = Heads(transport, reads=("pr/7", "trusted"), writes="pr/7", verifier=…)
    found = await heads.find("volume/…/go-build")        # the first scope that has a good one
    await heads.publish("volume/…/go-build", generation, merge)

Theory of operation
    Every scope has names of its own (`heads/<scope>/<key>`, both encoded), and a run gets no
    object that could read or write another's: `check_rules` refuses to make one. What a head
    says is believed only after its signature, its scope and key, its expiry and its number were
    checked (`trust`, `memory`). A head that fails is as if it were not there, and is told in
    `refused`, once.

    Publishing reads what stands there, merges what is not merged yet, and swaps; whoever was
    late begins again. A head that does not verify, or whose generation is gone, is replaced: so a
    backend that was tampered with heals by the next save.

    Backends without a comparison give the heads of several writers: all that no other of them
    has merged. `Found.others` has those beside the newest.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import anyio

from pipelines.caches.errors import CacheError, Conflict, Damaged, Missing, TooNew, Untrusted
from pipelines.caches.memory import Memory
from pipelines.caches.names import encode
from pipelines.caches.transport import Head, Transport
from pipelines.caches.trust import Claim, Signer, Verifier, check_rules, claim_of, read, seal

__all__ = ["Found", "Heads", "Standing", "name_of", "standing"]

LIFE = 14 * 86400.0
_TRIES = 40
_FIRST, _CAP = 0.02, 1.0  # seconds to wait after a conflict


class Named(Protocol):
    """A generation, as far as a head needs it."""

    @property
    def digest(self) -> str:
        """Name it."""
        ...

    @property
    def parents(self) -> Sequence[str]:
        """Name those that it continues."""
        ...


G = TypeVar("G", bound=Named)


@dataclass(frozen=True, slots=True)
class Found:
    """What stands under a key: a generation by its digest, and where."""

    scope: str
    generation: str
    number: int
    made: float
    expires: float
    others: tuple[str, ...] = ()

    def ageing(self, now: float) -> bool:
        """Tell whether half of its life is over: whoever may write should publish it again."""
        return now - self.made > (self.expires - self.made) / 2


@dataclass(frozen=True, slots=True)
class Standing:
    """A head as a collector sees it: what it claims, None if it makes no sense."""

    name: str
    modified: float
    claims: tuple[Claim, ...]


class Heads:
    """The heads that a run may read and write; safe for concurrent tasks."""

    def __init__(
        self,
        transport: Transport,
        reads: Sequence[str],
        writes: str | None,
        *,
        signer: Signer | None = None,
        verifier: Verifier | None = None,
        memory: Path | None = None,
        life: float = LIFE,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take the rules of a run; a signer alone verifies by its own key.

        Raises:
            Untrusted: the rules would mix scopes that must not be mixed.
        """
        check_rules(reads, writes)
        self.refused: list[str] = []
        self._transport = transport
        self._reads = tuple(dict.fromkeys(reads))
        self._writes = writes
        self._signer = signer
        self._verifier = verifier or (Verifier(signer.public) if signer else None)
        self._memory = Memory(memory, transport.url)
        self._life = life
        self._now = now

    async def find(self, key: str) -> Found | None:
        """Find the first scope that may be read and has a head that is believed.

        Raises:
            Unavailable: the backend does not answer.
        """
        claims: dict[str, Sequence[Claim]] = {}
        failed: list[CacheError] = []

        async def look(scope: str) -> None:
            try:
                claims[scope] = self._believed(await self._heads(scope, key), scope, key)
            except CacheError as exc:
                failed.append(exc)

        async with anyio.create_task_group() as group:
            for scope in self._reads:
                group.start_soon(look, scope)
        if failed:
            raise failed[0]
        for scope in self._reads:
            if claims[scope]:
                newest, *others = claims[scope]
                self._memory.note(newest)
                rest = dict.fromkeys(claim.generation for claim in others)
                rest.pop(newest.generation, None)
                times = newest.number, newest.made, newest.expires
                return Found(scope, newest.generation, *times, tuple(rest))
        return None

    async def publish(self, key: str, generation: G, merge: Callable[[str], Awaitable[G]]) -> G:
        """Let a key name a generation that is saved; give what it names in the end.

        `merge` takes the digest of a generation that somebody else has published, and gives
        the union of that with all that it gave before, saved.

        Raises:
            Untrusted: this run may write no scope, or has no key to sign with.
            Conflict: others were first, time and again.
        """
        scope = self._writable()
        known = {generation.digest, *generation.parents}
        for attempt in range(_TRIES):
            seen = await self._heads(scope, key)
            claims = self._believed(seen, scope, key)
            for claim in claims:
                if claim.generation in known:
                    continue
                known.add(claim.generation)
                try:
                    generation = await merge(claim.generation)
                except (Missing, Damaged, TooNew) as exc:
                    self._refuse(f"{key} in {scope}: its generation can not be merged: {exc}")
                    continue
                known |= {generation.digest, *generation.parents}
            claim = self._claim(scope, key, generation.digest, claims)
            try:
                await self._transport.swap(name_of(scope, key), seal(claim, self._signer), seen)
            except Conflict:
                most = min(_CAP, _FIRST * 2**attempt)
                await anyio.sleep(random.uniform(0, most))  # noqa: S311 - so that savers part
                continue
            self._memory.note(claim)
            return generation
        raise Conflict(f"{key} in {scope}: others were first, {_TRIES} times")

    def _writable(self) -> str:
        if self._writes is None:
            raise Untrusted("this run may write no scope")
        if self._signer is None and self._verifier is not None:
            raise Untrusted(
                f"heads must be signed, and this run has no key: what it wrote to {self._writes} "
                "would be refused"
            )
        return self._writes

    def _claim(self, scope: str, key: str, digest: str, others: Sequence[Claim]) -> Claim:
        highest = max((claim.number for claim in others), default=0)
        number = max(highest, self._memory.number(scope, key)) + 1
        made = self._now()
        return Claim(scope, key, digest, number, made, made + self._life)

    async def _heads(self, scope: str, key: str) -> Sequence[Head]:
        return await self._transport.heads(name_of(scope, key))

    def _believed(self, heads: Sequence[Head], scope: str, key: str) -> Sequence[Claim]:
        """Give what is believed, newest first.

        The newest decides whether an old one was put back; what stands beside it (`others`) may
        be one number behind, as two writers at once make it.
        """
        believed: list[Claim] = []
        for head in heads:
            try:
                believed.append(read(head.content, scope, key, self._verifier, self._now()))
            except (Damaged, TooNew, Untrusted) as exc:
                self._refuse(f"the head of {key} in {scope} is not believed: {exc}")
        believed.sort(key=lambda claim: (claim.number, claim.made), reverse=True)
        try:
            for newest in believed[:1]:
                self._memory.check(newest)
        except Untrusted as exc:
            self._refuse(f"the head of {key} in {scope} is not believed: {exc}")
            return []
        return [claim for claim in believed if claim.number >= believed[0].number - 1]

    def _refuse(self, text: str) -> None:
        if text not in self.refused:
            self.refused.append(text)


def name_of(scope: str, key: str) -> str:
    """Name the object of a head."""
    return f"heads/{encode(scope)}/{encode(key)}"


async def standing(transport: Transport) -> AsyncIterator[Standing]:
    """Give every head with what it claims, believed or not: what a collector must not delete."""
    async for item in transport.list("heads/"):
        heads = await transport.heads(item.name)
        claims = [claim_of(head.content) for head in heads]
        yield Standing(item.name, item.modified, tuple(claim for claim in claims if claim))
