"""What every op is made of: edges, keys, and the encoding of fields."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from pipelines.engine.digest import Digest, digest_json

__all__ = ["UNKEYED", "Edge", "Op", "key"]

UNKEYED = {"keyed": False}


@dataclass(frozen=True, slots=True)
class Edge:
    """One named output of an op."""

    op: "Op"
    output: str = ""


@dataclass(frozen=True, slots=True)
class Op:
    """A node. Subclasses add fields; nothing else.

    Class attributes:
        pinned: the op's content is known from its fields; sources that still have to look at
            the world (a host path) say False and are pinned once a session.
        recorded: results may be worth a row in the store. What only turns trees into a tree
            is never recorded, whatever this says: it is cheaper to redo.
        slotted: running it takes one of the `--jobs` slots.
    """

    pinned: ClassVar[bool] = True
    recorded: ClassVar[bool] = True
    slotted: ClassVar[bool] = False

    digest: Digest = field(init=False, repr=False, compare=False, metadata=UNKEYED)
    inputs: tuple[Edge, ...] = field(init=False, repr=False, compare=False, metadata=UNKEYED)
    spec: Any = field(init=False, repr=False, compare=False, metadata=UNKEYED)

    def __post_init__(self) -> None:
        edges: list[Edge] = []
        spec = [type(self).__name__, _encode(self, edges)]
        object.__setattr__(self, "inputs", tuple(edges))
        object.__setattr__(self, "spec", spec)
        object.__setattr__(self, "digest", key(self, [e.op.digest for e in edges]))

    @property
    def label(self) -> str:
        """Say in a record what made it."""
        return type(self).__name__

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and self.digest == other.digest


def key(op: Op, inputs: Sequence[str]) -> Digest:
    """Digest an op over names of its inputs, in the order of `op.inputs`."""
    named = [[name, edge.output] for name, edge in zip(inputs, op.inputs, strict=True)]
    return digest_json([op.spec, named])


def _encode(value: Any, edges: list[Edge]) -> Any:
    """Turn a field into JSON; edges are replaced by their place among the inputs."""
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, Edge):
        edges.append(value)
        return {"input": len(edges) - 1}
    if isinstance(value, bytes):
        return {"bytes": value.hex()} if len(value) < 64 else {"sha256": _sha(value)}  # noqa: PLR2004
    if isinstance(value, tuple):
        return [_encode(item, edges) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return [
            type(value).__name__,
            *(
                _encode(getattr(value, f.name), edges)
                for f in fields(value)
                if f.metadata.get("keyed", True)
            ),
        ]
    raise TypeError(f"not a value that an op may hold: {value!r}")


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
