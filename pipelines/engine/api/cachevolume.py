"""Cache volumes: an identity that does not split by how it is spelled.

Key and namespace name a volume. How it is shared, who owns it and what seeds it are said at
the volume or at the mount; both places mean the same.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from pipelines.engine.api.directory import Directory
from pipelines.engine.op import CacheVolume as Volume
from pipelines.engine.op import Edge

__all__ = ["CacheVolume", "mounted"]


@dataclass(frozen=True, slots=True)
class CacheVolume:
    """A cache volume."""

    TYPE: ClassVar[str] = "CacheVolume"

    volume: Volume


def mounted(cache: CacheVolume, sharing: str, owner: str, source: Directory | None) -> Volume:
    """Give the volume with what a mount says; what the mount leaves open the volume decides."""
    volume = cache.volume
    seed: Edge | None = source.edge if source is not None else volume.seed
    # SHARED is the mount's default and the weakest: it does not undo the volume's own choice.
    shared = volume.sharing if sharing == "SHARED" else sharing
    return replace(volume, sharing=shared, owner=owner or volume.owner, seed=seed)
