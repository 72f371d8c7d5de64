"""Operations: the immutable nodes of the graph that the solver walks.

An op is a frozen dataclass. Its fields are JSON values, `Edge`s to other ops, and small frozen
values that hold either; its `digest` is fixed at construction. What a field means for keys:

    Edge                    an input; in keys it stands as the input's own key or content
    field(metadata=UNKEYED) never part of any key: secret values, volatile values, limits
    everything else         part of every key

`key(op, inputs)` is the one formula, used three times with other names for the inputs: their
ops' digests (identity), their definition keys, their contents. That is all of keying; what an
exec's fields may hold is normalised in `keys.py` before the op is made.

Results (`result.py`) have named outputs: an exec leaves a root filesystem, one more for every
mount that it could write to, and its output streams. `Edge(op, "/src")` names one of them; ""
is the main output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from pipelines.engine.digest import Digest, digest_json

__all__ = [
    "UNKEYED",
    "Archive",
    "CacheMount",
    "CacheVolume",
    "Chown",
    "Copy",
    "Diff",
    "DirMount",
    "Edge",
    "Empty",
    "Exec",
    "Filter",
    "HostTree",
    "Link",
    "MakeDir",
    "Mount",
    "Op",
    "Remove",
    "Rename",
    "Replace",
    "Rootfs",
    "Scratch",
    "SecretMount",
    "SecretRef",
    "Select",
    "TempMount",
    "Touch",
    "Variant",
    "Write",
    "key",
]

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
    import hashlib

    return hashlib.sha256(data).hexdigest()


# --- sources -----------------------------------------------------------------------------


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


# --- trees and snapshots -----------------------------------------------------------------
# Where `base` gives a tree the result is a tree; where it gives a snapshot, the result is a
# snapshot with one more layer. `owner` is "uid[:gid]" or names looked up in the base's
# /etc/passwd and /etc/group; "" keeps what the source has.


@dataclass(frozen=True, slots=True, eq=False)
class Empty(Op):
    """An empty directory: gives a tree."""

    recorded: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, eq=False)
class Scratch(Op):
    """An empty root filesystem: gives a snapshot without layers."""

    recorded: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, eq=False)
class Write(Op):
    """Write a new file."""

    base: Edge
    path: str
    contents: bytes
    mode: int = 0o644
    owner: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MakeDir(Op):
    """Make a directory and its parents."""

    base: Edge
    path: str
    mode: int = 0o755
    owner: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Link(Op):
    """Make a symbolic link."""

    base: Edge
    path: str
    target: str
    owner: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Copy(Op):
    """Copy a tree into a directory of the base, or one file to a path.

    With `as_file`, `source` is a single-file tree and `path` the file's new path, or the
    directory to put it in if it ends with "/".
    """

    base: Edge
    source: Edge
    path: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = False
    owner: str = ""
    mode: int | None = None
    as_file: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Remove(Op):
    """Remove paths (patterns allowed); `kind` "dir" or "file" is what they must be."""

    base: Edge
    paths: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Select(Op):
    """Take a directory or a file out of a tree or snapshot: gives a tree."""

    base: Edge
    path: str
    kind: str = "dir"


@dataclass(frozen=True, slots=True, eq=False)
class Filter(Op):
    """Keep what matches."""

    recorded: ClassVar[bool] = False

    base: Edge
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Diff(Op):
    """Keep what is new or changed in `upper` against `lower`."""

    recorded: ClassVar[bool] = False

    lower: Edge
    upper: Edge


@dataclass(frozen=True, slots=True, eq=False)
class Chown(Op):
    """Change owners below a path (a file tree: of the file)."""

    recorded: ClassVar[bool] = False

    base: Edge
    path: str
    owner: str


@dataclass(frozen=True, slots=True, eq=False)
class Touch(Op):
    """Pin every modification time; `timestamp` is seconds since the epoch."""

    recorded: ClassVar[bool] = False

    base: Edge
    timestamp: int


@dataclass(frozen=True, slots=True, eq=False)
class Rename(Op):
    """Rename a file tree's file."""

    recorded: ClassVar[bool] = False

    base: Edge
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Replace(Op):
    """Replace text in a file tree's file."""

    base: Edge
    search: str
    replacement: str
    every: bool = False
    first_from: int | None = None


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


# --- exec --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret by the name that keys it; the value is fetched only when a command starts."""

    name: str
    value: Callable[[], bytes] = field(repr=False, compare=False, metadata=UNKEYED)


@dataclass(frozen=True, slots=True)
class CacheVolume:
    """A cache volume's identity is its key and namespace; how it is shared is not.

    `seed` fills the volume when it is first made.
    """

    key: str
    namespace: str = ""
    sharing: str = field(default="SHARED", metadata=UNKEYED)
    owner: str = field(default="", metadata=UNKEYED)
    seed: Edge | None = field(default=None, metadata=UNKEYED)


@dataclass(frozen=True, slots=True)
class DirMount:
    """A tree or snapshot mounted at a path; `file` says that it is a single file."""

    target: str
    source: Edge
    readonly: bool = False
    owner: str = ""
    file: bool = False


@dataclass(frozen=True, slots=True)
class CacheMount:
    """A cache volume mounted at a path."""

    target: str
    volume: CacheVolume


@dataclass(frozen=True, slots=True)
class TempMount:
    """A tmpfs; `size` in bytes or None."""

    target: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class SecretMount:
    """A secret as a file on a tmpfs."""

    target: str
    secret: SecretRef
    owner: str = ""
    mode: int = 0o400


Mount = DirMount | CacheMount | TempMount | SecretMount


@dataclass(frozen=True, slots=True, eq=False)
class Exec(Op):
    """Run a command in a container.

    `env` is sorted by name, complete (the default PATH included) and free of secrets.
    Outputs: "" is the root filesystem, a mount's target the snapshot that it became.
    `expect` is SUCCESS, FAILURE or ANY.
    """

    slotted: ClassVar[bool] = True

    root: Edge
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    workdir: str
    user: str
    platform: str
    mounts: tuple[Mount, ...] = ()
    secret_env: tuple[tuple[str, SecretRef], ...] = ()
    stdin: str = ""
    redirect_stdin: str = ""
    redirect_stdout: str = ""
    redirect_stderr: str = ""
    expect: str = "SUCCESS"
    network: str = "host"
    volatile_names: tuple[str, ...] = ()
    volatile: tuple[tuple[str, str], ...] = field(default=(), repr=False, metadata=UNKEYED)
