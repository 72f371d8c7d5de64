"""Write images into an OCI layout: a directory that skopeo, umoci, crane and podman read.

    oci-layout, index.json          which images there are, by tag
    blobs/sha256/<hex>              what they are made of

A layout may hold other images: they stay, but for the one that had the tag. Blobs are written
beside their names and renamed, and the index last, so that a reader never sees half an image;
two writers at once are kept apart by a lock on the directory. Source: OCI image-layout.md.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pipelines.engine.digest import Digest, canonical
from pipelines.engine.errors import ImageError, PathError
from pipelines.engine.images.model import OCI, Descriptor, Index, load
from pipelines.engine.run.compose import Composed, Composer
from pipelines.engine.run.pour import pour

__all__ = ["write_layout"]

_TAG = "org.opencontainers.image.ref.name"
_NEW = ".new-"
_VERSION = {"imageLayoutVersion": "1.0.0"}


def write_layout(composed: Composed, composer: Composer, into: Path, tag: str) -> Descriptor:
    """Put images into a layout, which is made if it is missing; blocks.

    Raises:
        PathError: it can not be written. ImageError: there is something else.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        with _locked(into):
            _check(into)
            # First: what is begun is a layout, and the next one goes on with it.
            _write(into / "oci-layout", canonical(_VERSION))
            (into / "blobs/sha256").mkdir(parents=True, exist_ok=True)
            for digest, place in composer.places(composed).items():
                _keep(into, digest, place)
            for found, content in composed.documents:
                _write(into / "blobs/sha256" / found.digest.hex, content)
            described = replace(composed.descriptor, annotations={_TAG: tag})
            _write(into / "index.json", _index(into, described, tag))
    except OSError as exc:
        where = exc.filename if isinstance(exc.filename, str) else str(into)
        raise PathError(f"writing an OCI layout: {where}: {exc.strerror}") from exc
    return described


@contextmanager
def _locked(into: Path) -> Iterator[None]:
    handle = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _check(into: Path) -> None:
    """Refuse a directory that holds something else; remove what a killed process left."""
    for scrap in (*into.glob(f"{_NEW}*"), *into.glob(f"blobs/sha256/{_NEW}*")):
        scrap.unlink()
    if any(into.iterdir()) and not (into / "oci-layout").is_file():
        raise ImageError(
            f"writing an OCI layout to {into}: there are files, and it is no OCI layout; name an "
            "empty or a new directory"
        )


def _keep(into: Path, digest: Digest, place: Path) -> None:
    """Copy a blob, unless it is there."""
    target = into / "blobs/sha256" / digest.hex
    with suppress(FileNotFoundError):
        if target.stat().st_size == place.stat().st_size:
            return
    with _new(target) as handle, place.open("rb", buffering=0) as source:
        pour(source.fileno(), handle)


def _write(target: Path, content: bytes) -> None:
    with suppress(FileNotFoundError):
        if target.read_bytes() == content:
            return
    with _new(target) as handle, os.fdopen(os.dup(handle), "wb") as file:
        file.write(content)


@contextmanager
def _new(target: Path) -> Iterator[int]:
    """Give a file that gets its name when it is whole."""
    handle, temporary = tempfile.mkstemp(prefix=_NEW, dir=target.parent)
    try:
        yield handle
        os.fchmod(handle, 0o644)
        os.rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        os.close(handle)


def _index(into: Path, described: Descriptor, tag: str) -> bytes:
    """Give the layout's index with an image under a tag."""
    others: tuple[Descriptor, ...] = ()
    with suppress(FileNotFoundError):
        row = load((into / "index.json").read_bytes(), f"{into}/index.json")
        others = Index.parse(row).manifests
    kept = (each for each in others if each.annotations.get(_TAG) != tag)
    return Index((*kept, described), OCI.index).emit()
