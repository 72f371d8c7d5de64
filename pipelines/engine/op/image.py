"""Writing images."""

from dataclasses import dataclass
from typing import ClassVar

from pipelines.engine.op.base import Edge, Op

__all__ = ["Archive", "Variant"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One platform of an image to write: its root filesystem and OCI config document."""

    root: Edge
    platform: str
    config: str
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Archive(Op):
    """Write an OCI image archive: gives a file tree."""

    slotted: ClassVar[bool] = True

    variants: tuple[Variant, ...]
    compression: str
    media_types: str
