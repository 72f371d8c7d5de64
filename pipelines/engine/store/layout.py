"""Where things are in the store, and whether this process may use it."""

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import StoreError
from pipelines.engine.store.full import full

__all__ = ["FORMAT", "Layout", "default_root"]

FORMAT = 1
_DIRECTORIES = (
    "blobs/sha256",
    "files",
    "snapshots",
    "active/incoming",
    "volumes",
    "leases",
    "trash",
    "stat",
    "images",
)
_ELSEWHERE = "set PIPELINES_CACHE_DIR to a directory of your own"


def default_root(env: Mapping[str, str]) -> Path:
    """Give the store's place: PIPELINES_CACHE_DIR, XDG_CACHE_HOME/pipelines, ~/.cache/pipelines."""
    if chosen := env.get("PIPELINES_CACHE_DIR"):
        return Path(chosen).absolute()
    # The base directory specification has relative values ignored.
    if (cache := env.get("XDG_CACHE_HOME", "")).startswith("/"):
        return Path(cache, "pipelines")
    return Path("~/.cache/pipelines").expanduser()


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one store; `open` makes and checks it."""

    root: Path

    @classmethod
    def open(cls, root: Path | None = None) -> "Layout":
        """Open the store at `root`, making it if it is not there.

        Raises:
            StoreError: read-only, writable by others, not ours, or of a newer format.
            StoreFull: no room to make it.
        """
        layout = cls(root or default_root(os.environ))
        with full(f"make the store {layout.root}"):
            try:
                layout._make()
            except (FileExistsError, NotADirectoryError) as exc:
                raise StoreError(
                    f"can not make the store {layout.root}: {exc.filename} is not a directory; "
                    + _ELSEWHERE
                ) from exc
            except OSError as exc:
                if exc.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
                    raise
                raise StoreError(
                    f"can not write to the store {layout.root}: {exc.strerror}; {_ELSEWHERE}"
                ) from exc
        return layout

    def _make(self) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(self.root)
        if self._known():
            _check_writable(self.root)
            return
        for name in _DIRECTORIES:
            os.makedirs(self.root / name, mode=0o700, exist_ok=True)
        # Last: a store with a version file has all its directories.
        draft = self.root / f"version.{os.getpid()}"
        draft.write_text(f"{FORMAT}\n")
        draft.rename(self.version)

    def _known(self) -> bool:
        try:
            text = self.version.read_text().strip()
        except FileNotFoundError:
            return False
        if text == str(FORMAT):
            return True
        raise StoreError(
            f"the store {self.root} has format {text!r}, this version of pipelines knows "
            f"format {FORMAT}; upgrade pipelines, or {_ELSEWHERE}"
        )

    @property
    def version(self) -> Path:
        """The file that says which format this store has."""
        return self.root / "version"

    @property
    def records(self) -> Path:
        """The records' database."""
        return self.root / "records.db"

    @property
    def blobs(self) -> Path:
        """`<hex>`: bytes by digest, as in an OCI layout."""
        return self.root / "blobs" / "sha256"

    @property
    def files(self) -> Path:
        """`<2 hex>/<name>`: regular files to be hard-linked."""
        return self.root / "files"

    @property
    def snapshots(self) -> Path:
        """Layers; the snapshotter's."""
        return self.root / "snapshots"

    @property
    def active(self) -> Path:
        """`<lease id>`: a live session's work in flight."""
        return self.root / "active"

    @property
    def incoming(self) -> Path:
        """Files that are being written, where the file system has no nameless ones."""
        return self.root / "active" / "incoming"

    @property
    def volumes(self) -> Path:
        """`<identity>`: cache volumes."""
        return self.root / "volumes"

    @property
    def locks(self) -> Path:
        """One empty file whose byte ranges are the locks of keys."""
        return self.root / "locks"

    @property
    def leases(self) -> Path:
        """`<lease id>`: a file that a live session holds locked."""
        return self.root / "leases"

    @property
    def gc_lock(self) -> Path:
        """Held shared by every live session, exclusively by whoever sweeps."""
        return self.root / "gc.lock"

    @property
    def durable(self) -> Path:
        """What of the store has reached the disk; see `boot.py`."""
        return self.root / "durable"

    @property
    def trash(self) -> Path:
        """What is to be unlinked when there is time."""
        return self.root / "trash"

    @property
    def stat(self) -> Path:
        """Stat caches of host directories."""
        return self.root / "stat"

    @property
    def git(self) -> Path:
        """`<identity>`: mirrors of git repositories; made when the first is."""
        return self.root / "git"

    @property
    def http(self) -> Path:
        """`<identity>.json`: what is known of downloads; made when the first is."""
        return self.root / "http"

    @property
    def images(self) -> Path:
        """The images' own place."""
        return self.root / "images"


def _check_owner(root: Path) -> None:
    status = root.stat()
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"the store {root} belongs to user {status.st_uid}, this is user {os.geteuid()}; "
            f"run as that user, or {_ELSEWHERE}"
        )
    if status.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        raise StoreError(
            f"the store {root} can be written by others (mode {status.st_mode & 0o7777:o}), who "
            f"could put anything into your builds; `chmod 700 {root}`, or {_ELSEWHERE}"
        )


def _check_writable(root: Path) -> None:
    """Fail early: `access` sees read-only mounts, for root too."""
    if not os.access(root, os.W_OK | os.X_OK, effective_ids=True):
        reason = errno.EROFS if os.statvfs(root).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(reason, os.strerror(reason), str(root))
