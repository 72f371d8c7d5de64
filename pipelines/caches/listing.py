"""A tree that lies elsewhere: from its listing to what of it is to be fetched.

Theory of operation
    `SCRIPT` lists a directory by what every image with a shell has (`find`, `stat`; of GNU or of
    busybox). Of a file that the base has at the same path, with the same size and time, the
    contents are the base's; only the others are to be fetched (`delta`), into a directory of
    ours, and are `settled` there, which gives the scan that a save takes.

    Names may hold any byte but zero, so every line begins with a mark that no name can have:
    whoever lists chooses it anew.
"""

import os
import re
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.caches.credentials import holds_secret, suspicion
from pipelines.caches.errors import Damaged
from pipelines.caches.generation import Generation
from pipelines.caches.habits import PLAIN, Habit, detected, habit
from pipelines.caches.scan import Found, Scan, arrange
from pipelines.caches.seen import Seen
from pipelines.caches.tree import DIR, FILE, HARD, LINK, Rows
from pipelines.caches.usage import Drawn, draw

__all__ = ["SCRIPT", "Delta", "delta", "lost", "read", "settled"]

# $1 the directory, $2 the mark, $3 the listing. What vanishes meanwhile is no failure.
SCRIPT = (
    'cd "$1" && find . -exec stat -c "$2 %f %u %g %h %i %s %Y %y %n" {} + > "$3" 2>/dev/null; '
    'test -s "$3"'
)
_FRACTION = re.compile(rb"\.(\d{9})(?: |$)")
_FIELDS = 8
_KINDS = {stat.S_IFDIR: DIR, stat.S_IFLNK: LINK, stat.S_IFREG: FILE}


def read(content: bytes, mark: str) -> Scan:
    """Read a listing; files that only hold credentials are left out, and what is no file.

    Raises:
        Damaged: it is none.
    """
    found = Scan()
    start = mark.encode() + b" "
    if not content.startswith(start):
        raise Damaged(f"a listing that begins with {content[:60]!r}")
    for line in content[len(start) :].removesuffix(b"\n").split(b"\n" + start):
        _add(found, line)
    arrange(found)
    if not found.rows or found.rows[0].path or found.rows[0].kind != DIR:
        raise Damaged("a listing without its top directory")
    return found


def _add(found: Scan, line: bytes) -> None:
    try:
        mode, uid, gid, links, inode, size, seconds, rest = line.split(b" ", _FIELDS - 1)
        day, clock, zone, name = rest.split(b" ", 3)
        bits = int(mode, 16)
        path = name.removeprefix(b"./") if name != b"." else b""
        fraction = _FRACTION.search(clock + b" ")
        when = int(seconds) * 10**9 + (int(fraction[1]) if fraction else 0)
        owner, many, number, length = (int(uid), int(gid)), int(links) > 1, int(inode), int(size)
    except ValueError as exc:
        raise Damaged(f"a listing with the line {line[:200]!r}") from exc
    del day, zone
    kind = _KINDS.get(stat.S_IFMT(bits))
    if kind is None:
        found.skipped.append((path, "neither a file, a directory nor a link"))
    elif kind != DIR and suspicion(path) == "always":
        found.skipped.append((path, "credentials"))
    else:
        stamp = (-number if kind == FILE and many else number, 0, when, length)
        row = Found(path, kind, stat.S_IMODE(bits), owner, when, length, stamp)
        found.rows.append(row)


@dataclass(frozen=True, slots=True)
class Delta:
    """What is to be saved of a listed tree, upon a base, and what of it is to be fetched.

    `seen` says what the base has; `unchanged` that it has all of this, and nothing else.
    """

    scan: Scan
    fetch: tuple[bytes, ...]
    habit: Habit
    seen: Seen | None = None
    unchanged: bool = False


def delta(scan: Scan, base: Generation | None) -> Delta:
    """Compare what was listed with a base; takes the scan."""
    used = _habit(scan, base)
    _drop(scan, used)
    seen = _known(base, used) if base is not None else None
    rows = base.rows() if base is not None else None
    for row in scan.rows:
        known = seen is not None and row.path in seen.stamps
        row.stamp = (0, 0 if known else row.mtime, row.mtime, row.size)
    copy = Scan([replace(row) for row in scan.rows])
    number = base.number + 1 if base is not None else 1
    drawn = draw(Drawn(copy, time.time_ns()), used, number, rows, seen)
    paths = {row.path for row in drawn.scan.rows}
    scan.rows = [row for row in scan.rows if row.path in paths]
    missing = [r.path for r, c in zip(drawn.scan.rows, drawn.chunks, strict=True) if c is None]
    links = [row.path for row in scan.rows if row.kind == LINK]
    unchanged = rows is not None and not missing and _equal(scan, rows)
    return Delta(scan, (*missing, *links), used, seen, unchanged)


def lost(scan: Scan, base: Generation) -> bool:
    """Tell whether a tree that is said to be based on a generation has lost most of it."""
    rows, paths = base.rows(), {row.path for row in scan.rows}
    files = [path for path, kind in zip(rows.paths, rows.kinds, strict=True) if kind == FILE]
    return 2 * sum(path in paths for path in files) < len(files)


def _habit(scan: Scan, base: Generation | None) -> Habit:
    found = habit(base.meta.get("habit", "")) if base is not None else PLAIN
    return detected({row.path for row in scan.rows}.__contains__) if found is PLAIN else found


def _drop(scan: Scan, used: Habit) -> None:
    """Leave out what the tool wants left behind; a directory with all that is in it."""
    if used.dropped:
        below = tuple(path + b"/" for path in used.dropped)
        gone = {r.path for r in scan.rows if r.path in used.dropped or r.path.startswith(below)}
        scan.rows = [row for row in scan.rows if row.path not in gone]
        scan.skipped += ((path, "the tool makes it anew") for path in sorted(gone))


def _known(base: Generation, used: Habit) -> Seen:
    """Tell what files look like that a base has.

    Of a tool that shows its use, what the base has not and what is clearly older than it was left
    out of it as unused: it is not new.
    """
    rows, lengths = base.rows(), base.index.lengths
    stamps = {
        rows.paths[row]: (0, 0, rows.mtimes[row], sum(lengths[c] for c in rows.refs[start:stop]))
        for row, start, stop in rows.spans()
        if rows.kinds[row] == FILE
    }
    return Seen(base.digest, int((base.made - (used.aged or 0)) * 1e9), stamps)


def _equal(scan: Scan, rows: Rows) -> bool:
    """Tell whether a tree has the paths of another, with their kinds, modes and files' times."""

    def look(kind: int, mode: int, mtime: int) -> tuple[int, int, int]:
        return kind, mode, mtime if kind == FILE else 0

    before = map(look, rows.kinds, rows.modes, rows.mtimes)
    now = {row.path: look(row.kind, row.mode, row.mtime) for row in scan.rows}
    return now == dict(zip(rows.paths, before, strict=True))


def settled(change: Delta, directory: Path) -> Scan:
    """Give the scan once what was wanted lies in a directory; what did not come is left out."""
    top, asked = os.fsencode(directory), frozenset(change.fetch)
    made = Scan(skipped=list(change.scan.skipped))
    gone: set[bytes] = set()
    for row in change.scan.rows:
        fault = _settle(row, os.path.join(top, row.path)) if row.path in asked else ""
        if row.kind == HARD and row.target in gone:
            fault = "gone with the file that it is a name of"
        if fault:
            gone.add(row.path)
            made.skipped.append((row.path, fault))
        else:
            made.rows.append(row)
    return made


def _settle(row: Found, path: bytes) -> str:
    """Bring a row up to date with what was fetched; say why it is to be left out."""
    try:
        now = os.lstat(path)
        if row.kind == LINK:
            row.target = os.readlink(path)
            return ""
    except OSError:
        return "gone since it was listed"
    if _secret(path):
        return "credentials"
    row.size = now.st_size
    row.stamp = (now.st_ino, now.st_ctime_ns, now.st_mtime_ns, now.st_size)
    return ""


def _secret(path: bytes) -> bool:
    if suspicion(path) != "look":
        return False
    held = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        return holds_secret(held, os.path.basename(path))
    finally:
        os.close(held)
