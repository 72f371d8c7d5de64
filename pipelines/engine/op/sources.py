"""Sources: ops that look at the world, or name what is pinned already."""

from dataclasses import dataclass, field
from typing import ClassVar

from pipelines.engine.op.base import UNKEYED, Op

__all__ = ["HostTree", "Rootfs"]


@dataclass(frozen=True, slots=True, eq=False)
class HostTree(Op):
    """A directory or file of the host; pinned to a tree when first needed in a session.

    `kind` is "dir" or "file"; `nonce` makes `noCache` reads distinct from one another.
    """

    pinned: ClassVar[bool] = False
    recorded: ClassVar[bool] = False

    path: str
    kind: str = "dir"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = False
    nonce: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Rootfs(Op):
    """The root filesystem of a resolved image: gives a snapshot.

    `image` is the pinned image's digest (a manifest digest, or the digest of a package
    image's recipe); `reference` is for people and not part of the key.
    """

    image: str
    platform: str
    reference: str = field(default="", metadata=UNKEYED)
