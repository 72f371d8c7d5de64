"""Commands: the exec op, its mounts, cache volumes and secrets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from pipelines.engine.op.base import UNKEYED, Edge, Op

__all__ = [
    "AnyService",
    "Binding",
    "CacheMount",
    "CacheVolume",
    "Check",
    "DirMount",
    "Endpoint",
    "Exec",
    "Forward",
    "HostService",
    "Mount",
    "SecretMount",
    "SecretRef",
    "Service",
    "SocketMount",
    "TempMount",
    "Tunnel",
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


WITH_SECRETS, OF_THIS_MACHINE = " with secrets", " of this machine"
"""Ends of labels."""

Mount = DirMount | CacheMount | TempMount | SecretMount | SocketMount


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port that a service listens on; `checked` says that it is waited for."""

    port: int
    protocol: str = "TCP"
    checked: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """A command that succeeds when a service is ready; times in seconds, 0 for the default."""

    args: tuple[str, ...]
    interval: int = 0
    timeout: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A command that runs while others use it.

    It is no input: what it *does* can not be known. What defines it is part of the key of
    whoever binds it, with the contents of its root and mounts, so `process` is a value here
    and its inputs are inputs of the op that holds it. `instance` tells services apart that
    differ in nothing but secret values.
    """

    process: "Exec"
    hostname: str
    ports: tuple[Endpoint, ...] = ()
    check: Check | None = None
    stop_signal: str = ""
    instance: str = field(default="", metadata=UNKEYED)


@dataclass(frozen=True, slots=True)
class Forward:
    """One port passed on to another; `frontend` 0 is any free one."""

    frontend: int
    backend: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class HostService:
    """Ports of the machine, seen as a service's: `frontend` is passed on to its `backend`."""

    host: str
    forwards: tuple[Forward, ...]
    hostname: str


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A service's ports on the machine's loopback; `native` keeps their numbers."""

    service: "Service | HostService"
    forwards: tuple[Forward, ...]
    native: bool = False


AnyService = Service | HostService | Tunnel


@dataclass(frozen=True, slots=True)
class Binding:
    """A name by which a command reaches a service."""

    alias: str
    service: Service | HostService


@dataclass(frozen=True, slots=True, eq=False)
class Exec(Op):
    """Run a command in a container.

    `env` is sorted by name, complete (the default PATH included) and free of secrets.
    Outputs: "" is the root filesystem, a mount's target the snapshot that it became.
    `expect` is SUCCESS, FAILURE or ANY. `network` is what was asked for: "private", "host" or
    "none"; where no private network can be had, "private" runs on the machine's, which takes
    nothing away that a command may count on, so it makes no difference to the key. `nested`
    gives it a session of its own, `insecure` every capability that the engine has.
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
    network: str = "private"
    services: tuple[Binding, ...] = ()
    nested: bool = False
    insecure: bool = False
    volatile_names: tuple[str, ...] = ()
    volatile: tuple[tuple[str, str], ...] = field(default=(), repr=False, metadata=UNKEYED)

    @property
    def label(self) -> str:
        """Say in a record what made it, and whether it may mean nothing on another machine."""
        if any(isinstance(bound.service, HostService) for bound in self.services) or any(
            isinstance(mount, SocketMount) for mount in self.mounts
        ):
            return "Exec" + OF_THIS_MACHINE
        if self.secret_env or any(isinstance(mount, SecretMount) for mount in self.mounts):
            return "Exec" + WITH_SECRETS
        return "Exec"
