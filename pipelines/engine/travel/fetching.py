"""Layers, files and blobs of other machines, fetched once each, checked, and put in place.

Theory of operation
    Everything is restored below the session's lease, which is ours alone and is swept if we die,
    and appears in the store by one rename, as if it had been made here. Two sessions that fetch
    one layer end with one of them.

    A layer is what its id says if its rows digest to the id and the directory has exactly what
    the rows say: contents are digested again here, with sha-256. A file's name has its sha-256, a
    blob's name is its. So what the backend gives is believed nowhere.
"""

import errno
import hashlib
import itertools
import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ContentMissing
from pipelines.engine.snapshots.layer import Scan
from pipelines.engine.snapshots.rows import plain
from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.files import parse_name
from pipelines.engine.store.transfer import hash_file
from pipelines.engine.travel.aside import Aside
from pipelines.engine.travel.results import blob_name, files_name, layer_name
from pipelines.engine.travel.stores import Stores

__all__ = ["Fetching", "Restore", "check_layer", "ended"]

Restore = Callable[[str, Path], Awaitable[None]]
"""Restores a tree of the generation, by its name, into an empty directory."""


class Fetching:
    """Brings what records of another machine name; safe for threads."""

    def __init__(self, stores: Stores, aside: Aside, restore: Restore) -> None:
        self._layout = stores.layout
        self._scratch = stores.scratch
        self._files = stores.files
        self._blobs = stores.blobs
        self._aside = aside
        self._restore = restore
        self._lock = threading.Lock()
        self._flights: dict[str, Future[None]] = {}
        self._count = itertools.count()
        self.settled: set[str] = set()
        """The trees that have come."""

    def here(self, name: str) -> bool:
        """Tell whether a layer or blob is in place; of a tree's files that is not known."""
        kind, _, what = name.partition("/")
        if kind == "layer":
            return os.path.exists(self._layout.snapshots / what)
        return kind == "blob" and self._blobs.has(Digest.of_hex(what))

    def layers(self, names: Iterable[str]) -> list["Future[None]"]:
        """Begin to fetch layers that are not here."""
        return [self._flight(layer_name(x)) for x in names if not self.here(layer_name(x))]

    def files(self, tree: str) -> "Future[None]":
        """Begin to fetch the files of a tree."""
        return self._flight(files_name(tree))

    def blob(self, digest: Digest) -> "Future[None]":
        """Begin to fetch a blob."""
        return self._flight(blob_name(digest.hex))

    def _flight(self, name: str) -> "Future[None]":
        with self._lock:
            if name not in self._flights:
                self._flights[name] = self._aside.start(self._fetch, name)
            return self._flights[name]

    async def _fetch(self, name: str) -> None:
        """Fetch one tree and put what it has in place.

        Raises:
            ContentMissing: it did not come, or is not what its name says.
        """
        place = self._scratch / f"travel-{next(self._count)}"
        place.mkdir(mode=0o700)
        try:
            await self._restore(name, place)
            await to_thread.run_sync(self._settle, name, place)
            self.settled.add(name)
        finally:
            await to_thread.run_sync(lambda: shutil.rmtree(place, ignore_errors=True))

    def _settle(self, name: str, place: Path) -> None:
        kind, _, what = name.partition("/")
        if kind == "layer":
            self._settle_layer(what, place)
        elif kind == "files":
            self._settle_files(place)
        elif self._blobs.put((place / "blob").read_bytes()).hex != what:
            raise ContentMissing(f"what came as the blob {what} is another")

    def _settle_layer(self, layer: str, place: Path) -> None:
        check_layer(layer, place)
        crashpoint("travel.layer-checked")
        try:
            os.rename(place, self._layout.snapshots / layer)
        except OSError as exc:
            if exc.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise  # else somebody has made or fetched it meanwhile
        crashpoint("travel.layer-placed")

    def _settle_files(self, place: Path) -> None:
        for name in os.listdir(place):
            try:
                entry = parse_name(f"{name[:2]}/{name}")
            except ValueError as exc:
                raise ContentMissing(f"{name!r} came, which is no file of a tree") from exc
            path = place / name
            if path.is_symlink() or hash_file(path) != entry.content:
                raise ContentMissing(f"what came as the file {entry.content} is another")
            self._files.adopt(path, entry)
            crashpoint("travel.file-placed")


def check_layer(layer: str, home: Path) -> None:
    """Refuse a directory that is not, to the last byte, the layer that its name says.

    Raises:
        ContentMissing: it is another.
    """
    problem = f"what came as the layer {layer} is another"
    try:
        if hashlib.sha256((home / "rows").read_bytes()).hexdigest() != layer:
            raise ContentMissing(problem)
        if not (home / "layer.json").is_file():
            raise ContentMissing(problem)
        if (home / "unmade").exists():
            raise ContentMissing(f"the layer {layer} has whiteouts that could not be made there")
        scan = Scan(None, linked=False)
        scan.run(str(home / "fs"))
        if scan.encode() != plain(home):
            raise ContentMissing(problem)
    except (OSError, ValueError) as exc:
        raise ContentMissing(f"{problem}: {exc}") from exc


def ended(flights: Sequence["Future[None]"]) -> None:
    """Wait for flights; blocks.

    Raises:
        ContentMissing: one did not come.
    """
    problem: Exception | None = None
    for flight in flights:
        with suppress(BaseException):
            flight.result()
        problem = problem or _problem(flight)
    if problem is not None:
        raise ContentMissing(f"it did not come from the travelling cache: {problem}") from problem


def _problem(flight: "Future[None]") -> Exception | None:
    if flight.cancelled():
        return ContentMissing("the session is ending")
    error = flight.exception()
    return error if isinstance(error, Exception) or error is None else ContentMissing(str(error))
