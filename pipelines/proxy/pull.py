"""Pulling through: one fetch a file however many ask, verified before anybody gets it.

What never changes is served from the shelf without a question. What changes is asked for again
each time, and served from the shelf if upstream does not answer: an outage shows yesterday's list.
Bytes that are refused are asked for once more, then it is an error: they are never kept, and never
passed on.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from pipelines.proxy.protocol import Wanted
from pipelines.proxy.shelf import Draft, Shelf
from pipelines.proxy.sums import Refused, Sums, check
from pipelines.proxy.upstream import Cut, Failed, NotThere, Upstream

__all__ = ["Counts", "Pull"]

TRIES = 2


@dataclass(slots=True)
class Counts:
    """What a proxy did: answers from disk, fetches, their bytes, and stale answers in outages."""

    kept: int = 0
    fetched: int = 0
    received: int = 0
    stale: int = 0


class _Flight:
    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.failure: Exception | None = None


class Pull:
    """Answers requests from the shelf and from upstream."""

    def __init__(self, shelf: Shelf, upstream: Upstream, sums: Sums) -> None:
        self.counts = Counts()
        self._shelf = shelf
        self._upstream = upstream
        self._sums = sums
        self._flights: dict[str, _Flight] = {}

    async def get(self, wanted: Wanted) -> Path:
        """Give the file that answers a request.

        Raises:
            NotThere: upstream has no such thing.
            Failed: upstream does not answer, and nothing is kept.
            Refused: upstream's bytes are wrong.
        """
        if wanted.constant and (path := await self._kept(wanted)) is not None:
            self.counts.kept += 1
            return path
        try:
            await self._once(wanted)
        except Failed:
            if wanted.constant or (path := await self._kept(wanted)) is None:
                raise
            self.counts.stale += 1
            return path
        if (path := await self._kept(wanted)) is None:
            raise Failed(f"{wanted.path} was deleted as soon as it was there: the disk is too full")
        return path

    async def _kept(self, wanted: Wanted) -> Path | None:
        return await anyio.to_thread.run_sync(self._shelf.find, wanted.path)

    async def _once(self, wanted: Wanted) -> None:
        """Fetch, or wait for who fetches the same already and fail as it fails."""
        if (flight := self._flights.get(wanted.path)) is not None:
            await flight.landed.wait()
            if flight.failure is not None:
                raise flight.failure
            return
        flight = self._flights[wanted.path] = _Flight()
        try:
            await self._fetch(wanted)
        except (NotThere, Failed, Refused) as exc:
            flight.failure = exc
            raise
        except BaseException:
            flight.failure = Failed(f"the fetch of {wanted.path} was given up")
            raise
        finally:
            del self._flights[wanted.path]
            flight.landed.set()

    async def _fetch(self, wanted: Wanted) -> None:
        for attempt in range(TRIES):
            try:
                with self._shelf.draft() as draft:
                    async for piece in self._upstream.fetch(wanted.path):
                        draft.write(piece)
                    await anyio.to_thread.run_sync(self._accept, wanted, draft)
            except (Refused, Cut):
                if attempt == TRIES - 1:
                    raise
            except OSError as exc:
                raise Failed(f"{wanted.path} can not be kept: {exc.strerror}") from exc
            else:
                return

    def _accept(self, wanted: Wanted, draft: Draft) -> None:
        draft.file.flush()
        if wanted.kind == "info":
            _check_info(wanted, draft.path.read_bytes())
        check(wanted, draft.path, self._sums)
        self._shelf.put(wanted.path, draft)
        self.counts.fetched += 1
        self.counts.received += draft.size


def _check_info(wanted: Wanted, content: bytes) -> None:
    try:
        version = json.loads(content)["Version"]
    except (ValueError, KeyError, TypeError) as exc:
        raise Refused(f"{wanted.path}: upstream's answer is no version") from exc
    if wanted.constant and version != wanted.version:
        raise Refused(f"{wanted.path}: upstream's answer is of version {version!r}")
