"""Records: what an operation gave, by key.

Theory of operation
    One sqlite database in WAL mode, never fsynced here: a row may be lost, which is a miss,
    but a row is inserted only after all that it names is in place (`put` is called last), and
    a row that outlives its content is found out at `get`: what is missing is a miss.

    After a power cut the database may hold rows whose content never reached the disk. A row
    says under which boot it was made; a clean session end writes the file system out and then
    marks its rows durable. Opening the database under another boot drops the rest, after an
    integrity check, because sqlite without fsync promises nothing then.

    A database that is damaged, or that something else wrote, is moved aside and a new one is
    begun: the store forgets, the user sees a slow run and no error.

    One connection a process, guarded by a lock: statements are short (tens of microseconds).
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing, StoreError, StoreFull
from pipelines.engine.result import Result, from_json, references, to_json
from pipelines.engine.store.ballast import drop
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.boot import boot_id, sync
from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.database import connect, is_damage, is_no_room, no_room
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.lazy import stored_tree
from pipelines.engine.tree import Tree

__all__ = ["Records", "Row"]

_TOUCHES = 512


@dataclass(frozen=True, slots=True)
class Row:
    """One record, as `cache ls` and the collector see it; times are seconds since the epoch."""

    key: Digest
    layers: tuple[str, ...]
    blobs: tuple[Digest, ...]
    tree: Digest | None
    made: float
    used: float
    note: str
    seconds: float


class Records:
    """The records of one store; safe for threads and processes."""

    def __init__(
        self,
        layout: Layout,
        layer_exists: Callable[[str], bool],
        boot: str | None = None,
    ) -> None:
        self._layout = layout
        self._blobs = Blobs(layout)
        self._layer_exists = layer_exists
        self._boot = boot or boot_id()
        self._lock = threading.Lock()
        self._touched: dict[str, float] = {}
        self._db = connect(layout, self._boot)

    def get(self, key: Digest) -> Result | None:
        """Give what is recorded, if all of it is still there.

        A tree's entries are read from its blob when they are first looked at; a blob that
        turns out damaged then raises `ContentMissing`.
        """
        with suppress(StoreError):  # a database that can not be read is a miss
            found = self._query("SELECT result FROM records WHERE key = ?", (key,))
            return self._found(key, found[0][0]) if found else None
        return None

    def _found(self, key: Digest, text: str) -> Result | None:
        try:
            result = self._rebuild(text)
        except (ContentMissing, ValueError, KeyError, TypeError, AttributeError):
            self.forget(key)
            return None
        self._touched[key] = time.time()
        if len(self._touched) >= _TOUCHES:
            self.flush()
        return result

    def raw(self, key: Digest) -> tuple[dict[str, Any], str, float] | None:
        """Give what a row says: the result as JSON, what made it, in how many seconds."""
        with suppress(StoreError, ValueError):
            found = self._query("SELECT result, note, seconds FROM records WHERE key = ?", (key,))
            if found:
                text, note, seconds = found[0]
                return json.loads(text), str(note), float(seconds)
        return None

    def put(
        self,
        keys: Sequence[Digest],
        result: Result,
        note: str = "",
        seconds: float = 0.0,
    ) -> None:
        """Record a result under every key; whatever it names is in place already.

        Raises:
            StoreFull: no room.
        """
        if isinstance(result, Tree) and not self._blobs.has(result.digest):
            self._blobs.put(result.encode())
        crashpoint("record.before-insert")
        text, now = json.dumps(to_json(result), separators=(",", ":")), time.time()
        rows = [(key, text, now, now, self._boot, note, seconds) for key in keys]
        self._write(
            "INSERT OR REPLACE INTO records(key, result, made, used, boot, note, seconds) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        crashpoint("record.inserted")

    def forget(self, key: Digest) -> None:
        """Delete a record; it may be gone already."""
        self.forget_all([key])

    def forget_all(self, keys: Sequence[Digest]) -> None:
        """Delete records in one transaction."""
        for key in keys:
            self._touched.pop(key, None)
        rows = [(key,) for key in keys]
        self._write("DELETE FROM records WHERE key = ?", rows, room=True)

    def rows(self) -> Iterator[Row]:
        """Yield every record, least recently used first."""
        self.flush()
        found = self._query(
            "SELECT key, result, made, used, note, seconds FROM records ORDER BY used"
        )
        for key, text, made, used, note, seconds in found:
            try:
                layers, blobs, tree = references(json.loads(text))
            except (ValueError, KeyError, TypeError, AttributeError):
                self.forget(Digest(key))
                continue
            yield Row(Digest(key), layers, blobs, tree, made, used, note, seconds)

    def last_used(self, keys: Sequence[str]) -> dict[str, float]:
        """Tell when results were used last, by whatever key; those that are gone are left out.

        One result is put under several keys at one time.
        """
        self.flush()
        found = self._query(
            "SELECT one.key, MAX(other.used) FROM records one JOIN records other "
            "ON other.made = one.made WHERE one.key IN (SELECT value FROM json_each(?)) "
            "GROUP BY one.key",
            [json.dumps([*keys])],
        )
        return {str(key): float(used) for key, used in found}

    def integrity(self) -> str:
        """Ask sqlite whether the database is whole: "ok", or what is wrong."""
        found = self._query("PRAGMA integrity_check(1)")
        return str(found[0][0]) if found else "could not be read and was begun anew"

    def flush(self) -> None:
        """Write the batched last-use times."""
        touched, self._touched = self._touched, {}
        if touched:
            rows = [(used, key) for key, used in touched.items()]
            # They only order the collector's choice: not worth an error on a full disk.
            with suppress(StoreFull):
                self._write("UPDATE records SET used = ? WHERE key = ?", rows)

    def mark_durable(self) -> bool:
        """Write the store out to the disk; what is recorded until now survives a power cut.

        False, at once, if there is nothing new. Otherwise this takes as long as the disk takes
        to write all that is unwritten on the store's file system.
        """
        self.flush()
        fresh = "SELECT 1 FROM records WHERE durable = 0 AND boot = ? LIMIT 1"
        if not self._query(fresh, (self._boot,)):
            return False
        before = sync(self._layout, self._boot)
        self._write(
            "UPDATE records SET durable = 1 WHERE durable = 0 AND boot = ? AND made <= ?",
            [(self._boot, before)],
        )
        return True

    def close(self) -> None:
        """Write what is batched and close the database."""
        self.flush()
        with self._lock:
            self._db.close()

    def _rebuild(self, text: str) -> Result:
        fields = json.loads(text)
        layers, blobs, tree = references(fields)
        exists, has = self._layer_exists, self._blobs.has
        if not (all(map(exists, layers)) and all(map(has, blobs))):
            raise ContentMissing("a layer or blob of a record is gone")
        if tree is not None:
            return stored_tree(self._blobs, tree)
        return from_json(fields)

    def _query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.DatabaseError as exc:
                self._recover(exc)
                return []

    def _write(
        self, statement: str, rows: Sequence[Sequence[object]], *, room: bool = False
    ) -> None:
        """Write rows; with `room`, to make room, for which the ballast is given up."""
        with self._lock:
            try:
                self._transact(statement, rows)
            except sqlite3.DatabaseError as exc:
                if room and is_no_room(self._layout, exc) and drop(self._layout):
                    self._transact(statement, rows)
                    return
                self._recover(exc)

    def _transact(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(statement, rows)
            crashpoint("record.before-commit")
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _recover(self, exc: sqlite3.DatabaseError) -> None:
        """Begin again after damage; complain about a full disk and what we do not know."""
        if is_no_room(self._layout, exc):
            raise no_room(exc) from exc
        if not is_damage(exc):
            raise StoreError(f"can not use {self._layout.records}: {exc}") from exc
        self._db.close()
        self._db = connect(self._layout, self._boot, suspect=True)
