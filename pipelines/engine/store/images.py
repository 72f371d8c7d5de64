"""The blobs of images as the collector sees them.

What registries and archives gave and what was packed to be pushed can all be had again, so
every blob is a holding of its own, last used when it was last read or written. Documents
(manifests, configs) are left alone: they take no room, and save a request each. What a
killed process left half written has no holding, and goes after a day.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from pipelines.engine.store.layout import Layout

__all__ = ["image_blobs", "image_scraps"]

_DOCUMENT = 1 << 16  # bytes; hardly a layer is smaller, hardly a document larger
_BLOBS, _SCRATCH, _UNFINISHED = "blobs/sha256", "scratch", "."

Found = tuple[str, os.stat_result]


def image_blobs(layout: Layout) -> Iterator[Found]:
    """Yield every blob that may go, by its path below the images' place."""
    for name, status in _files(layout, _BLOBS):
        if not name.rpartition("/")[2].startswith(_UNFINISHED) and status.st_size > _DOCUMENT:
            yield name, status


def image_scraps(layout: Layout) -> Iterator[Found]:
    """Yield what may be half written, by its path."""
    yield from _files(layout, _SCRATCH)
    for name, status in _files(layout, _BLOBS):
        if name.rpartition("/")[2].startswith(_UNFINISHED):
            yield name, status


def _files(layout: Layout, directory: str) -> Iterator[Found]:
    with suppress(FileNotFoundError), os.scandir(layout.images / directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    yield f"{directory}/{entry.name}", entry.stat(follow_symlinks=False)
