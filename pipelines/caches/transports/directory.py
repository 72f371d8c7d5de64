"""A directory as a backend: local, a CI system's cache path, NFS, a disk that jobs share.

Theory of operation
    An immutable object is a file of its name. A head is a directory `<name>@` with a file for
    each of its last versions, `000000000007`: to replace version 7 is to create version 8,
    which can succeed only once, whoever tries. That needs no lock, so none is left behind by a
    writer that was killed, and it holds on NFS, where creating by link is exclusive and locks
    may be switched off.

    Old versions are deleted, so a writer that fell far behind could create a version that was
    there once and is gone. Hence each writer lists again afterwards: if anybody is ahead of it
    now, it was late, and merges. Some versions behind the newest are kept so that a listing
    which runs meanwhile meets at least one of them.

    Where there are no links, a version has its name for a moment before its content, or for good if
    its writer died between. Readers take the version before it. Who replaces what it read so takes
    its own name first and then looks whether the version that was empty still is: if it is, that
    writer will list later, and see that it was late; if not, we are.

    Whatever else lies in the directory is not ours: it is neither read nor deleted.
"""

import errno
import re
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TypeVar

import anyio.to_thread

from pipelines.caches.errors import CacheError, Conflict, Damaged, Missing, Unavailable
from pipelines.caches.names import check
from pipelines.caches.transport import HEAD_LIMIT, OBJECT_LIMIT, Head, Item
from pipelines.caches.transports.anchored import Anchored

__all__ = ["DirectoryTransport"]

_T = TypeVar("_T")
_VERSION = re.compile(r"\d{12}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_HEAD = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*@")
_LAST = 10**12 - 1
_KEPT = 4  # versions of a head behind the newest one
_PIECE = 512  # items of a listing at a time
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class DirectoryTransport:
    """Objects as files below a directory, which is made by the first write."""

    def __init__(self, root: str, files: Anchored | None = None) -> None:
        self._root = root
        self._files = files or Anchored(root)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"file://{self._root}"

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object or a range of it."""
        parts = _parts(name)
        wanted = OBJECT_LIMIT + 1 if length is None else length

        def act() -> bytes:
            content, _size = self._files.read(parts, start, wanted)
            return content

        content = await self._in_thread(act, name)
        if length is None and len(content) > OBJECT_LIMIT:
            raise Damaged(f"{self.url}/{name} has more than {OBJECT_LIMIT} bytes")
        return content

    async def write(self, name: str, content: bytes) -> bool:
        """Write an object unless it is there whole."""
        parts = _parts(name)

        def act() -> bool:
            # A crash of the machine may have left a file short: its name is no proof then.
            if self._files.size(parts) == len(content):
                return False
            if not self._files.create(parts, content):
                if self._files.size(parts) == len(content):
                    return False
                self._files.replace(parts, content)
            return True

        return await self._in_thread(act, name)

    async def heads(self, name: str) -> Sequence[Head]:
        """Read a head: one or none."""
        parts = _head(name)
        return await self._in_thread(lambda: self._newest(parts), name)

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        """Create the version that follows the one seen."""
        parts = _head(name)

        def act() -> bool:
            number = self._following(parts, seen)
            still = self._unfilled(parts, seen)
            if not self._files.create((*parts, f"{number:012}"), content, still):
                return False
            present = self._versions(parts)
            for old in present:
                if old < number - _KEPT:
                    self._files.unlink((*parts, f"{old:012}"))
            return max(present, default=0) <= number

        try:
            kept = await self._in_thread(act, name)
        except Missing:
            kept = False  # the collector took the empty directory away
        if not kept:
            raise Conflict(f"{self.url}/{name} was replaced meanwhile")

    async def list(self, prefix: str) -> AsyncIterator[Item]:
        """List what is ours, in pieces."""
        walk = self._walk(prefix)

        def act() -> Sequence[Item]:
            return [item for item, _ in zip(walk, range(_PIECE), strict=False)]

        while piece := await self._in_thread(act, prefix):
            for item in piece:
                yield item

    async def delete(self, name: str) -> None:
        """Delete an object, or a head with its versions."""
        plain, head = _parts(name), _head(name)

        def act() -> None:
            self._files.unlink(plain)
            for version in self._versions(head):
                self._files.unlink((*head, f"{version:012}"))
            self._files.remove(head)

        await self._in_thread(act, name)

    async def aclose(self) -> None:
        """Close nothing: no file stays open."""

    def _versions(self, parts: tuple[str, ...]) -> Sequence[int]:
        """Give a head's versions, oldest first; a name counts, whatever has it."""
        names = [name for name, _ in self._files.entries(parts)]
        return sorted(int(name) for name in names if _VERSION.fullmatch(name))

    def _following(self, parts: tuple[str, ...], seen: Sequence[Head]) -> int:
        """Give the version after the one seen.

        Nobody gets to the last number by counting: whoever put it there wants no more versions
        to be made. Then all go, and counting begins anew.
        """
        number = _numbers(seen)[0] + 1
        if number <= _LAST:
            return number
        for version in self._versions(parts):
            self._files.unlink((*parts, f"{version:012}"))
        return 1

    def _unfilled(self, parts: tuple[str, ...], seen: Sequence[Head]) -> Callable[[], bool] | None:
        """Give what tells whether the versions that were empty still are; None if none was."""
        newest, filled = _numbers(seen)
        if newest == filled:
            return None

        def still() -> bool:
            between = [v for v in self._versions(parts) if filled < v <= newest]
            return not any(self._files.size((*parts, f"{v:012}")) for v in between)

        return still

    def _newest(self, parts: tuple[str, ...]) -> Sequence[Head]:
        """Read a head: the newest version that is not empty, under the newest number and its own.

        An empty one is of a writer that has a name but has not written yet, or never will.
        """
        versions = self._versions(parts)
        for version in reversed(versions):
            try:
                content, _size = self._files.read((*parts, f"{version:012}"), 0, HEAD_LIMIT + 1)
            except (FileNotFoundError, IsADirectoryError):
                continue
            if content:
                return [Head(content, f"{versions[-1]} {version}")]
        return [Head(b"", f"{versions[-1]} 0")] if versions else []

    def _walk(self, prefix: str) -> Iterator[Item]:
        """Give the items whose names begin with `prefix`."""
        above = tuple(prefix.split("/")[:-1])
        waiting = [above] if all(map(_NAME.fullmatch, above)) else []
        while waiting:
            parts = waiting.pop()
            for name, status in self._files.entries(parts):
                full = "/".join((*parts, name))
                if stat.S_ISDIR(status.st_mode):
                    if _HEAD.fullmatch(name) and full[:-1].startswith(prefix):
                        yield from self._item_of_head((*parts, name))
                    elif _NAME.fullmatch(name) and _leads(full + "/", prefix):
                        waiting.append((*parts, name))
                elif not stat.S_ISREG(status.st_mode):
                    continue
                elif _NAME.fullmatch(name) and full.startswith(prefix):
                    yield Item(full, status.st_size, status.st_mtime)

    def _item_of_head(self, parts: tuple[str, ...]) -> Iterator[Item]:
        found = {n: s for n, s in self._files.entries(parts) if _VERSION.fullmatch(n)}
        if found:
            newest = found[max(found)]
            yield Item("/".join(parts)[:-1], newest.st_size, newest.st_mtime)

    async def _in_thread(self, act: Callable[[], _T], name: str) -> _T:
        """Do file work beside the event loop; who gives up does not wait for a dead NFS."""
        try:
            return await anyio.to_thread.run_sync(act, abandon_on_cancel=True)
        except OSError as exc:
            raise self._explained(exc, name) from exc

    def _explained(self, exc: OSError, name: str) -> CacheError:
        if isinstance(exc, FileNotFoundError):
            return Missing(f"{self.url}/{name} is not there")
        if exc.errno in _FULL:
            way = "the file system is full; free some of it, or run `pipelines cache gc`"
        elif exc.errno in _DENIED:
            way = "check the directory's owner and mode"
        elif exc.errno in {errno.ENOTDIR, errno.ELOOP}:
            way = "a part of it is a link or a file where a directory is wanted; remove it"
        else:
            way = "check the file system"
        return Unavailable(f"{self.url}/{name}: {exc.strerror or exc}; {way}")


def _numbers(seen: Sequence[Head]) -> tuple[int, int]:
    """Read the newest version's number, and that of the version whose content was seen."""
    newest, filled = seen[0].version.split() if seen else ("0", "0")
    return int(newest), int(filled)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(check(name).split("/"))


def _head(name: str) -> tuple[str, ...]:
    *above, last = _parts(name)
    return (*above, last + "@")


def _leads(directory: str, prefix: str) -> bool:
    """Tell whether names that begin with `prefix` may be in a directory."""
    return directory.startswith(prefix) or prefix.startswith(directory)
