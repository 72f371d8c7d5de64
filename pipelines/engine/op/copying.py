"""Ops of Dockerfiles: what COPY takes, where it puts it, and layers over layers.

COPY is two ops so that it runs again only for what it copies: `Pick` narrows a source down, and
what it gives is the input of `Put`. Both are functions of `treecopy`.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from pipelines.engine.op.base import UNKEYED, Edge, Op

__all__ = ["Extract", "Lay", "Pick", "Put"]


@dataclass(frozen=True, slots=True, eq=False)
class Pick(Op):
    """Take what a source path or pattern names: gives numbered pieces, as a tree.

    `where` says whose wish it was, for messages only.
    """

    base: Edge
    path: str
    exclude: tuple[str, ...] = ()
    parents: bool = False
    where: str = field(default="", metadata=UNKEYED)


@dataclass(frozen=True, slots=True, eq=False)
class Extract(Op):
    """Put what an archive holds in the place of every piece that is one.

    Never recorded: what is no archive may still be on the host only. What came out of an
    archive is remembered by the archive's content.
    """

    recorded: ClassVar[bool] = False
    slotted: ClassVar[bool] = True

    base: Edge


@dataclass(frozen=True, slots=True, eq=False)
class Put(Op):
    """Put pieces to a path by Docker's rules, as one layer.

    A "/" at the end of `path` says that it is a directory. `mode` is octal or symbolic.
    """

    base: Edge
    pieces: tuple[Edge, ...]
    path: str
    owner: str = ""
    mode: str = ""
    where: str = field(default="", metadata=UNKEYED)


@dataclass(frozen=True, slots=True, eq=False)
class Lay(Op):
    """Lay a snapshot's layers over another's, which does not decide what they hold."""

    base: Edge
    upper: Edge
