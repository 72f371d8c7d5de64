"""The solver's cache, as far as a session believes it.

    Cache              rows of the store
    TravellingCache    the same, where records of other machines answer too
    VerifyingCache     answers nothing; compares what is made with what is recorded

Compared are the trees that come out: what is exported, read, or copied on. What lies about in a
root filesystem besides is not: few programs leave no log there. The rebuild begins with empty cache
volumes, so what it compares with can not have had a part in it.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ResultMismatch
from pipelines.engine.result import Result
from pipelines.engine.store.locks import Locks
from pipelines.engine.store.records import Records
from pipelines.engine.tree import Tree

if TYPE_CHECKING:
    from pipelines.engine.travel.travel import Travel

__all__ = ["Cache", "TravellingCache", "VerifyingCache"]

_SHOWN = 5


class Cache:
    """The solver's cache: rows from the records, exclusion from the locks."""

    def __init__(self, records: Records, locks: Locks) -> None:
        self.get = records.get
        self.put = records.put
        self.forget = records.forget
        self.locked = locks.locked


class TravellingCache:
    """The same, where records of other machines answer too."""

    def __init__(self, records: Records, locks: Locks, travel: "Travel") -> None:
        self._records = records
        self._index = travel.index
        self._account = travel.account
        self.locked = locks.locked

    def get(self, key: Digest) -> Result | None:
        """Ask the store, then what is known of other machines."""
        if (found := self._records.get(key)) is None:
            return self._index.get(key)
        self._index.use(key)
        return found

    def put(
        self, keys: Sequence[Digest], result: Result, note: str = "", seconds: float = 0.0
    ) -> None:
        """Record a result, unless only another machine has its content."""
        if not self._index.alias(keys, result):
            self._records.put(keys, result, note, seconds)
            share = self._account.share(result)
            for key in keys:
                self._index.use(key, made=seconds > 0, share=share)

    def forget(self, key: Digest) -> None:
        """Drop a record, wherever it is from."""
        self._records.forget(key)
        self._index.forget(key)


class Inner(Protocol):
    """A cache that remembers."""

    def get(self, key: Digest) -> Result | None:
        """Look a key up."""
        ...

    def put(
        self, keys: Sequence[Digest], result: Result, note: str = "", seconds: float = 0.0
    ) -> None:
        """Record a result."""
        ...

    def forget(self, key: Digest) -> None:
        """Drop a record."""
        ...

    def locked(self, key: Digest) -> AbstractAsyncContextManager[None]:
        """Exclude other processes."""
        ...


class VerifyingCache:
    """Answers nothing. With `compare`, what is made must be what is recorded."""

    def __init__(self, inner: Inner, *, compare: bool) -> None:
        self._inner = inner
        self._compare = compare
        self.locked = inner.locked
        self.forget = inner.forget

    def get(self, _key: Digest) -> Result | None:
        """Answer nothing."""
        return None

    def put(
        self, keys: Sequence[Digest], result: Result, note: str = "", seconds: float = 0.0
    ) -> None:
        """Record a result, compared first.

        Raises:
            ResultMismatch: another one is recorded.
        """
        if self._compare and isinstance(result, Tree):
            for key in keys:
                known = self._inner.get(key)
                if isinstance(known, Tree) and known.digest != result.digest:
                    raise ResultMismatch(_words(known, result, key))
        self._inner.put(keys, result, note, seconds)


def _words(known: Tree, made: Tree, key: Digest) -> str:
    found = [*_differences(known, made)]
    shown = "; ".join(found[:_SHOWN]) + (
        f"; and {len(found) - _SHOWN} more" if found[_SHOWN:] else ""
    )
    return (
        f"made anew, a result is not what is recorded for it (key {key}): {shown}. Either what "
        "makes it does not make the same twice, or the cache was tampered with: run with "
        "--cache off twice and compare; `pipelines cache prune --all` empties the store"
    )


def _differences(known: Tree, made: Tree) -> Iterator[str]:
    for path in sorted({*known, *made}):
        before, after = known.get(path), made.get(path)
        if before == after:
            continue
        if before is None or after is None:
            yield f"{path} is {'not recorded' if before is None else 'recorded, and was not made'}"
        else:
            was, now = (
                f"{(e.content or e.target or e.kind)[:12]} {e.mode:o}" for e in (before, after)
            )
            yield f"{path}: recorded {was}, made {now}"
