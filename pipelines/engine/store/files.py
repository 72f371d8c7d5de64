"""Regular files by content, to be hard-linked into trees.

Theory of operation
    A hard link shares mode, owner and times with its inode, so there is one file for every
    (content, mode, uid, gid, pinned mtime) that some tree has: a *variant*. Its name says all
    five, its directory is the first two digits of the content, so that the variants of one
    content are neighbours. A file without a pinned time keeps the time at which it came in:
    content that did not change keeps its old time in every tree, as build tools like it, and
    no two contents that came in one after the other have one time.

    Files are never opened for writing once they have their name. Whoever links one into a
    place where a command can write must put a copy there (an overlay does so by itself).

    Content that is still outside (a host directory's) is known by its `origin` and comes in
    when a tree needs it; it is hashed on its way, because the host may have changed it.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from pipelines.engine.errors import ContentMissing
from pipelines.engine.store import transfer
from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.full import full
from pipelines.engine.store.incoming import Incoming
from pipelines.engine.store.layout import Layout
from pipelines.engine.tree import Entry, Tree

__all__ = ["Files", "Times", "file_name", "parse_name"]


class Times(Protocol):
    """What other machines know of files without a pinned time."""

    def of(self, entry: Entry) -> int | None:
        """Tell when a file came in first (ns); None if nobody knows."""
        ...

    def met(self, entry: Entry) -> None:
        """Hear that a command is given a file."""
        ...


class Files:
    """The store's files; safe for threads and processes.

    With `owners` False (a user namespace that maps a single id) every file is 0:0.
    """

    __slots__ = ("_layout", "_origins", "elsewhere", "owners", "root", "times")

    def __init__(self, layout: Layout, *, owners: bool = True) -> None:
        self._layout = layout
        self.root = str(layout.files)
        self._origins: dict[str, str] = {}
        self.owners = owners
        self.elsewhere: Callable[[str], bool] | None = None
        """Fetches content (hex) of other machines; False if nobody there has it."""
        self.times: Times | None = None

    def name(self, entry: Entry) -> str:
        """Name the entry's file, relative to the store's files."""
        return file_name(entry) if self.owners else file_name(entry, owners=False)

    def path(self, entry: Entry) -> Path:
        """Where the entry's file is or would be."""
        return Path(self.root, self.name(entry))

    def has(self, entry: Entry) -> bool:
        """Whether the entry's own file is there."""
        return os.path.exists(f"{self.root}/{self.name(entry)}")

    def origin(self, content: str, path: Path | str) -> None:
        """Say where content (hex) can be read on the host; nothing is read now."""
        self._origins[content] = str(path)

    def write(
        self,
        data: bytes,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        mtime: int | None = None,
    ) -> Entry:
        """Keep bytes as a file and give its entry."""
        entry = Entry("file", mode, len(data), transfer.hexdigest(data), "", uid, gid, mtime)
        if not self.has(entry):
            with full(f"keep a file of {len(data)} bytes"), Incoming(self._layout) as file:
                file.write(data)
                self._place(file, entry)
        return entry

    def ingest(self, entry: Entry, source: Path | str) -> Path:
        """Copy a host file in, by reflink where the file system can.

        Raises:
            SourceError: not readable, not a regular file, or no longer the entry's content.
            StoreFull: no room.
        """
        with full(f"keep {source}"), Incoming(self._layout) as file:
            transfer.copy_in(source, file, entry)
            self._place(file, entry)
        return self.path(entry)

    def adopt(self, path: Path, entry: Entry) -> Path:
        """Link an immutable file of the store, already hashed, to its place among the files."""
        found = os.lstat(path)
        target = self.path(entry)
        if not self._same(found, entry):
            return target if self.has(entry) else self.ingest(entry, path)
        crashpoint("file.before-adopt")
        with full(f"keep {path}"):
            try:
                self._make_shard(entry)
                os.link(path, target, follow_symlinks=False)
            except FileExistsError:
                pass
            except OSError as exc:
                if not transfer.link_refused(exc):
                    raise
                return self.ingest(entry, path)
        crashpoint("file.placed")
        return target

    def ensure(self, entry: Entry) -> Path:
        """Give the entry's file, bringing it in from a variant or its origin if need be.

        Raises:
            ContentMissing: nobody has the content.
            SourceError: the origin changed after it was hashed.
        """
        if self.times is not None and entry.mtime is None:
            self.times.met(entry)
        path = self.path(entry)
        if path.exists():
            return path
        if variant := self.find(entry.content):
            return self.ingest(entry, variant)
        if origin := self._origins.get(entry.content):
            return self.ingest(entry, origin)
        if self.elsewhere is not None and self.elsewhere(entry.content):
            return self._fetched(entry)
        raise ContentMissing(
            f"file content {entry.content} ({entry.size} bytes) is not in the store"
        )

    def _fetched(self, entry: Entry) -> Path:
        path = self.path(entry)
        if not path.exists() and (variant := self.find(entry.content)) is not None:
            return self.ingest(entry, variant)
        return path

    def find(self, content: str) -> Path | None:
        """Say where content (hex) is, whatever its file's mode and owner; None if nowhere."""
        shard = f"{self.root}/{content[:2]}"
        try:
            names = os.listdir(shard)
        except FileNotFoundError:
            return None
        return next((Path(shard, n) for n in names if n.startswith(content)), None)

    def open(self, entry: Entry) -> BinaryIO:
        """Open the content for reading.

        Raises:
            ContentMissing: nobody has the content.
            SourceError: the origin changed after it was hashed.
        """
        try:
            return open(f"{self.root}/{self.name(entry)}", "rb")
        except FileNotFoundError:
            return open(self.find(entry.content) or self.ensure(entry), "rb")

    def read(self, entry: Entry, limit: int | None = None) -> bytes:
        """Read the content, or its first `limit` bytes."""
        with self.open(entry) as file:
            return file.read(-1 if limit is None else limit)

    def materialise(self, tree: Tree, into: Path) -> None:
        """Put a tree on disk below `into`, a fresh directory that nobody else can write to.

        Files are hard links into the store: nobody may write to them in place.

        Raises:
            ContentMissing: a file's content is nowhere.
            StoreFull: no room.
        """
        from pipelines.engine.store.materialise import materialise

        with full(f"put a tree of {len(tree)} entries on disk"):
            materialise(self, tree, into)

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield every file's name, relative to the store's files, with its status."""
        for shard in sorted(os.listdir(self.root)):
            with os.scandir(f"{self.root}/{shard}") as found:
                for item in found:
                    try:
                        yield f"{shard}/{item.name}", item.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue

    def check(self, name: str) -> bool:
        """Whether a file is what its name says: content, mode, owner, pinned time."""
        path = f"{self.root}/{name}"
        try:
            entry, found = parse_name(name), os.lstat(path)
            return self._same(found, entry) and transfer.hash_file(path) == entry.content
        except (ValueError, FileNotFoundError):
            return False

    def check_content(self, name: str) -> bool:
        """Whether a file holds what its name says, whatever its owner."""
        try:
            return transfer.hash_file(f"{self.root}/{name}") == parse_name(name).content
        except (ValueError, FileNotFoundError):
            return False

    def remove(self, name: str) -> None:
        """Remove a file by its name; trees that link it keep it."""
        Path(self.root, name).unlink(missing_ok=True)

    def _same(self, found: os.stat_result, entry: Entry) -> bool:
        """Whether an inode can stand for the entry: all that its name says, but the content."""
        owner = (entry.uid, entry.gid) if self.owners else (found.st_uid, found.st_gid)
        return (
            stat.S_ISREG(found.st_mode)
            and stat.S_IMODE(found.st_mode) == entry.mode
            and (found.st_uid, found.st_gid) == owner
            and entry.mtime in {None, int(found.st_mtime)}
        )

    def _make_shard(self, entry: Entry) -> None:
        """Make the directory of a content's first two digits; 256 at once would take long."""
        with suppress(FileExistsError):
            os.mkdir(f"{self.root}/{entry.content[:2]}", 0o700)

    def _place(self, file: Incoming, entry: Entry) -> None:
        if self.owners:
            os.fchown(file.fd, entry.uid, entry.gid)
        # After chown, which clears the set-id bits.
        os.fchmod(file.fd, entry.mode)
        # The kernel stamps files with its last tick, milliseconds old: two of one size that came in
        # together would be equal to whatever goes by size and time (Go's test cache, make).
        when = self._when(entry) if entry.mtime is None else entry.mtime * 1_000_000_000
        os.utime(file.fd, ns=(when, when))
        target = f"{self.root}/{self.name(entry)}"
        try:
            file.link(target)
        except FileNotFoundError:
            self._make_shard(entry)
            file.link(target)
        crashpoint("file.placed")

    def _when(self, entry: Entry) -> int:
        known = self.times.of(entry) if self.times is not None else None
        return time.time_ns() if known is None else known


def file_name(entry: Entry, *, owners: bool = True) -> str:
    """Spell `<2 hex>/<content>-<mode>-<uid>-<gid>[-<mtime>]`."""
    uid, gid = (entry.uid, entry.gid) if owners else (0, 0)
    content = entry.content
    name = f"{content[:2]}/{content}-{entry.mode:o}-{uid}-{gid}"
    return name if entry.mtime is None else f"{name}-{entry.mtime}"


def parse_name(name: str) -> Entry:
    """Undo `file_name`; the size is not in it.

    Raises:
        ValueError: not a name that `file_name` gives.
    """
    shard, _, rest = name.partition("/")
    content, mode, uid, gid, *pinned = rest.split("-", 4)
    if content[:2] != shard or len(content) != 64:  # noqa: PLR2004
        raise ValueError(f"not a file of the store: {name!r}")
    mtime = int(pinned[0]) if pinned else None
    return Entry("file", int(mode, 8), 0, content, "", int(uid), int(gid), mtime)
