"""How much a cache may claim to hold: what keeps a small object from becoming a large tree."""

from dataclasses import dataclass

__all__ = ["DEFAULT", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is declared, tried before anything is made of it.

    `manifest` bounds a manifest, as kept and as decompressed, `size` the sum of the files of a
    tree, `entries` their number, and `frame` the memory that one frame may take.
    """

    size: int = 64 << 30
    entries: int = 4_000_000
    manifest: int = 1 << 30
    frame: int = 16 << 20


DEFAULT = Limits()
