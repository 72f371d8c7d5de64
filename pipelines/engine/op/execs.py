"""Commands: the exec op, its mounts, cache volumes and secrets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from pipelines.engine.op.base import UNKEYED, Edge, Op

__all__ = [
    "CacheMount",
    "CacheVolume",
    "DirMount",
    "Exec",
    "Mount",
    "SecretMount",
    "SecretRef",
    "SocketMount",
    "TempMount",
]


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
    mode: int | None = field(default=None, metadata=UNKEYED)


@dataclass(frozen=True, slots=True)
class DirMount:
    """A tree or snapshot mounted at a path.

    `file` says that what is mounted is the one name at the tree's top, and that changes of it
    are not kept.
    """

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
    readonly: bool = False


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


@dataclass(frozen=True, slots=True)
class SocketMount:
    """A unix socket of the host, by its path; what is said there is no part of any key."""

    target: str
    path: str
    owner: str = ""


Mount = DirMount | CacheMount | TempMount | SecretMount | SocketMount


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
