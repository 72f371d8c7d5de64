"""The parts of the local store that caches travel from and to."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.scrub import Hidden
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.portraits import Portraits
from pipelines.engine.store.records import Records
from pipelines.engine.store.volumes import Volumes

__all__ = ["Stores"]


@dataclass(frozen=True, slots=True)
class Stores:
    """One store. `scratch` is this session's alone; `images` lists the layers of images.

    `hidden` knows the secrets that commands of this session were given.
    """

    layout: Layout
    scratch: Path
    blobs: Blobs
    files: Files
    records: Records
    volumes: Volumes
    images: Callable[[], Collection[str]]
    hidden: Hidden
    portraits: Portraits
