"""Results: what solving an op yields, and what a record in the store says.

    Tree        directories and files as manifests (`tree.py`)
    Snapshot    a root filesystem: layers on disk, lowest first
    Ran         an exec: its filesystems by output name, and its streams as blobs

`content(result, output)` is what enters the content key of whoever reads that output.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.tree import Tree

__all__ = [
    "Ran",
    "Result",
    "Snapshot",
    "content",
    "from_json",
    "output",
    "references",
    "to_json",
]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stack of layers, lowest first. A layer's id is the hex digest of what it changes."""

    layers: tuple[str, ...] = ()

    @property
    def content(self) -> Digest:
        """Equal layers in equal order are equal content."""
        return digest_json(["snapshot", *self.layers])


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished exec.

    `outputs` maps "" to the root filesystem and every writable mount's target to what it
    became; the streams are blobs. `network` is what it ran on: "private", "host" or "none".
    """

    outputs: Mapping[str, Snapshot]
    exit_code: int
    stdout: Digest
    stderr: Digest
    combined: Digest
    network: str = ""


Result = Tree | Snapshot | Ran


def output(result: Result, name: str) -> Tree | Snapshot:
    """Pick a named output; trees and snapshots have only the main one, ""."""
    if isinstance(result, Ran):
        return result.outputs[name]
    if name:
        raise KeyError(name)
    return result


def content(result: Result, name: str) -> Digest:
    """Digest the content of one output."""
    picked = output(result, name)
    return picked.content if isinstance(picked, Snapshot) else picked.digest


def to_json(result: Result) -> dict[str, Any]:
    """Write a result as a record holds it; a tree is named by its digest, a blob."""
    match result:
        case Tree():
            return {"tree": result.digest}
        case Snapshot():
            return {"snapshot": list(result.layers)}
        case Ran():
            return {
                "ran": {name: list(s.layers) for name, s in result.outputs.items()},
                "exit": result.exit_code,
                "stdout": result.stdout,
                "stderr": result.stderr,
                "combined": result.combined,
                "network": result.network,
            }


def from_json(fields: Mapping[str, Any]) -> Snapshot | Ran:
    """Read back what `to_json` wrote of a snapshot or an exec.

    A tree's record holds only its digest; whoever has the blobs builds the tree.

    Raises:
        KeyError: the record is of neither kind.
    """
    if "snapshot" in fields:
        return Snapshot(tuple(fields["snapshot"]))
    return Ran(
        {name: Snapshot(tuple(layers)) for name, layers in fields["ran"].items()},
        int(fields["exit"]),
        Digest(fields["stdout"]),
        Digest(fields["stderr"]),
        Digest(fields["combined"]),
        fields.get("network", ""),
    )


def references(
    fields: Mapping[str, Any],
) -> tuple[tuple[str, ...], tuple[Digest, ...], Digest | None]:
    """List the layers, stream blobs and tree that a record names."""
    if "tree" in fields:
        return (), (), Digest(fields["tree"])
    if "snapshot" in fields:
        return tuple(fields["snapshot"]), (), None
    stacks = fields["ran"].values()
    layers = tuple(dict.fromkeys(layer for stack in stacks for layer in stack))
    streams = (fields["stdout"], fields["stderr"], fields["combined"])
    return layers, tuple(Digest(s) for s in dict.fromkeys(streams)), None
