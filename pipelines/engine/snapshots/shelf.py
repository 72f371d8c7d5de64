"""The directory that layers stand in, and the only place that puts them there.

    <root>/<id>/fs          the layer
    <root>/<id>/rows        what its id digests: one JSON line a path (`layer.Scan`)
    <root>/<id>/layer.json  bytes on disk and inodes
    <root>/<id>/unmade      whiteouts that the kernel refused to make, if any

A layer is put together below `active`, which is its maker's alone and goes away with the
maker's lease, and appears by one rename. It goes by one rename, back into `active`.
"""

import errno
import hashlib
import itertools
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.engine.errors import StoreError, StoreFull
from pipelines.engine.snapshots.layer import Scan
from pipelines.engine.tree import Tree

__all__ = ["Shelf", "clear", "storing"]

_FULL = {errno.ENOSPC, errno.EDQUOT}


class Shelf:
    """Layers on disk; `active` is where this process makes and breaks them."""

    def __init__(self, root: Path, active: Path) -> None:
        self.root = root
        self.active = active
        self.count = itertools.count()

    def place(self) -> str:
        """Make a new directory of our own; give its name below `active`."""
        while True:
            token = f"s{next(self.count)}"
            with suppress(FileExistsError):
                os.mkdir(f"{self.active}/{token}")
                return token

    def empty(self) -> str:
        """Give an empty directory, to stand where overlayfs wants one more lower."""
        path = f"{self.active}/empty"
        with suppress(FileExistsError):
            os.mkdir(path, 0o755)
        return path

    def add(
        self,
        fill: Callable[[Path], None],
        tree: Tree | None = None,
        known: Mapping[str, str] | None = None,
    ) -> str:
        """Make a layer from what `fill` puts in an empty directory; see `Snapshots.add`."""
        with storing("add a layer"):
            home = f"{self.active}/{self.place()}"
            try:
                os.mkdir(f"{home}/fs")
                os.chmod(f"{home}/fs", 0o755)  # noqa: S103 - a root directory, whatever the umask
                fill(Path(home, "fs"))
                scan = Scan(None, known=known or {}) if tree is None else _scan_of(tree)
                scan.run(f"{home}/fs")
                return self.publish(f"{home}/fs", scan)
            finally:
                clear(home)

    def publish(self, upper: str, scan: Scan) -> str:
        """Turn a scanned directory into a layer; give its id. The directory is gone then."""
        rows = scan.encode()
        layer = hashlib.sha256(rows).hexdigest()
        if self.exists(layer):
            clear(upper)
            return layer
        home = f"{self.active}/{self.place()}"
        _write(home + "/rows", rows)
        counts = {"bytes": scan.size, "inodes": scan.inodes}
        _write(home + "/layer.json", json.dumps(counts).encode())
        if scan.unmade:
            _write(home + "/unmade", os.fsencode("\0".join(scan.unmade)))
        os.rename(upper, home + "/fs")
        try:
            os.rename(home, f"{self.root}/{layer}")
        except OSError as exc:
            if exc.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise
            clear(home)  # somebody else committed the same change
        return layer

    def close(self) -> None:
        """Give back what was kept for the next use; nothing by default."""

    def exists(self, layer: str) -> bool:
        """Whether a layer is in place; what is in place is whole."""
        try:
            os.stat(f"{self.root}/{layer}")
        except FileNotFoundError:
            return False
        return True

    def layers(self) -> Iterator[tuple[str, int, int]]:
        """Yield (id, bytes on disk, inodes) of every layer."""
        with os.scandir(self.root) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            try:
                with open(f"{self.root}/{name}/layer.json", "rb") as counts:
                    read = json.load(counts)
            except (FileNotFoundError, NotADirectoryError):  # removed since, or not ours
                continue
            yield name, read["bytes"], read["inodes"]

    def remove(self, layer: str) -> None:
        """Take a layer away: out of sight first, unlinked after."""
        trash = f"{self.active}/{self.place()}"
        with suppress(FileNotFoundError):
            os.rename(f"{self.root}/{layer}", f"{trash}/layer")
        clear(trash)


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Tell a full disk from other trouble.

    Raises:
        StoreFull: no space, quota or inodes.
        StoreError: anything else that the filesystem refused.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StoreFull(
                f"{what}: {exc.strerror}; free space or run `pipelines cache prune`"
            ) from exc
        raise StoreError(f"{what}: {exc.filename or ''}: {exc.strerror}") from exc
    except RecursionError as exc:
        raise StoreError(f"{what}: its directories are nested too deeply") from exc


def clear(path: str) -> None:
    """Remove a directory with all that is in it; what is gone already is no matter."""
    shutil.rmtree(path, onerror=_insist)


def _scan_of(tree: Tree) -> Scan:
    """Scan what a tree was put on disk as."""
    known = {path: entry.content for path, entry in tree.items() if entry.kind == "file"}
    pinned = {path: e.mtime for path, e in tree.items() if e.mtime is not None}
    return Scan(None, known=known, pinned=pinned, linked=False)


def _insist(_function: object, path: str, _failure: object) -> None:
    """Make an unreadable directory ours and try again (a build may leave mode 0)."""
    with suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o700 != 0o700:  # noqa: PLR2004
            os.chmod(path, 0o700)
            shutil.rmtree(path, ignore_errors=True)


def _write(path: str, blob: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(blob)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
