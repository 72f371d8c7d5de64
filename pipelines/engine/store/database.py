"""Open the records' database, whatever state it is in."""

import sqlite3

from pipelines.engine.errors import StoreError, StoreFull
from pipelines.engine.store.ballast import drop
from pipelines.engine.store.flocks import FileLock
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.policy import Disk
from pipelines.engine.store.trash import discard

__all__ = ["connect", "is_damage", "is_no_room", "no_room"]

_SCHEMA_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS records (
  key TEXT PRIMARY KEY,
  result TEXT NOT NULL,
  made REAL NOT NULL,
  used REAL NOT NULL,
  boot TEXT NOT NULL,
  durable INTEGER NOT NULL DEFAULT 0,
  note TEXT NOT NULL DEFAULT '',
  seconds REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fresh ON records(boot, made) WHERE durable = 0;
CREATE TABLE IF NOT EXISTS boots (boot TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA_VERSION};
"""
# Primary codes; SQLITE_ERROR is a missing table or column.
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
# Extended codes of reading what is not all there. Failed writes are no damage.
_TORN = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
_NO_ROOM_MAYBE = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_NO_ROOM = 1 << 20


def is_damage(exc: sqlite3.DatabaseError) -> bool:
    """Whether an error means that the database is not what we wrote."""
    code = _code(exc)
    return code & 0xFF in _DAMAGE or code in _TORN


def is_no_room(layout: Layout, exc: sqlite3.DatabaseError) -> bool:
    """Whether an error means that the disk is full.

    sqlite says so of the database; of its shared-memory file it says "I/O error".
    """
    primary = _code(exc) & 0xFF
    if primary in _NO_ROOM_MAYBE:
        return Disk.of(layout.root).free < _NO_ROOM
    return primary == sqlite3.SQLITE_FULL


def no_room(exc: sqlite3.DatabaseError) -> StoreFull:
    """Say that there is no room to record anything."""
    return StoreFull(
        f"no room to record a result: {exc}; nothing that was recorded is lost. Make room with "
        "`pipelines cache prune`, or move the store with PIPELINES_CACHE_DIR"
    )


def connect(layout: Layout, boot: str, *, suspect: bool = False) -> sqlite3.Connection:
    """Open the database, made or made anew as needed, without rows that may lie.

    Raises:
        StoreFull: no room to make it.
        StoreError: it can not be opened.
    """
    lock = FileLock(layout.root / "records.lock")
    try:
        lock.wait()
        return _open_or_begin_anew(layout, boot, suspect=suspect)
    except sqlite3.DatabaseError as exc:
        if not is_no_room(layout, exc):
            raise StoreError(
                f"can not open {layout.records}: {exc}; remove it to begin anew"
            ) from exc
        if not drop(layout):
            raise no_room(exc) from exc
    finally:
        lock.close()
    return connect(layout, boot, suspect=suspect)


def _open_or_begin_anew(layout: Layout, boot: str, *, suspect: bool) -> sqlite3.Connection:
    try:
        return _open(layout, boot, suspect=suspect)
    except sqlite3.DatabaseError as exc:
        if not is_damage(exc):
            raise
    for name in ("records.db-wal", "records.db-shm", "records.db"):
        discard(layout, layout.root / name)
    return _open(layout, boot, suspect=False)


def _code(exc: sqlite3.DatabaseError) -> int:
    return int(getattr(exc, "sqlite_errorcode", 0))


def _open(layout: Layout, boot: str, *, suspect: bool) -> sqlite3.Connection:
    db = sqlite3.connect(layout.records, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        if db.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA_VERSION:
            db.executescript(_SCHEMA)
        if suspect or not db.execute("SELECT 1 FROM boots WHERE boot = ?", (boot,)).fetchone():
            _check(db, boot)
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, boot: str) -> None:
    """Under a boot that the database has not seen: is it whole, and which rows count."""
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise _damaged(verdict)
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM records WHERE durable = 0 AND boot != ?", (boot,))
    db.execute("DELETE FROM boots")
    db.execute("INSERT INTO boots(boot) VALUES (?)", (boot,))
    db.execute("COMMIT")


def _damaged(verdict: str) -> sqlite3.DatabaseError:
    exc = sqlite3.DatabaseError(verdict)
    exc.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return exc
