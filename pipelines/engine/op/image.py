"""Writing images."""

from dataclasses import dataclass, field
from typing import ClassVar

from pipelines.engine.op.base import UNKEYED, Edge, Op

__all__ = ["Archive", "Variant"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One platform of an image to write: its root filesystem and OCI config document.

    `base` is the digest of the image that the root was made from, or "": its layers keep
    their bytes and its history is told. `origin` is the reference that it was asked for as:
    where layers that are not here come from. `steps` are the root filesystems that the config's
    own history tells of: before it, and after each entry that may have made a layer.
    """

    root: Edge
    platform: str
    config: str
    annotations: tuple[tuple[str, str], ...] = ()
    base: str = ""
    origin: str = field(default="", metadata=UNKEYED)
    steps: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Archive(Op):
    """Write an OCI image archive: gives a file tree.

    `epoch` is the latest time in it, in seconds (`SOURCE_DATE_EPOCH`), or None.
    """

    slotted: ClassVar[bool] = True

    variants: tuple[Variant, ...]
    compression: str
    media_types: str
    epoch: int | None = None
