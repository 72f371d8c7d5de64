"""Sources: ops that look at the world, or name what is pinned already."""

from dataclasses import dataclass, field
from typing import ClassVar

from pipelines.engine.names.remote import Remote
from pipelines.engine.op.base import UNKEYED, Edge, Op
from pipelines.engine.op.execs import AnyService, SecretRef

__all__ = ["GitAccess", "GitTree", "HostTree", "HttpFile", "HttpSource", "Rootfs"]


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


@dataclass(frozen=True, slots=True)
class GitAccess:
    """How a repository is reached. `header` is a whole Authorization header's value.

    `service` is where the address leads, for as long as `via` says where that listens.
    """

    remote: Remote
    username: str = ""
    token: SecretRef | None = None
    header: SecretRef | None = None
    known_hosts: str = ""
    auth_socket: str = ""
    service: AnyService | None = None
    via: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class GitTree(Op):
    """The tree of a commit, from a repository that can be reached or one in a directory.

    What the commit has is what the key says; where it comes from matters only to `.git`, so
    `origin`, `ref` and `depth` (0 is all) are set only if that is kept. `tags` are full names
    with their objects. `smudged` says that LFS pointers become files.
    """

    slotted: ClassVar[bool] = True

    commit: str
    keep_git_dir: bool = False
    origin: str = ""
    ref: str = ""
    depth: int = 1
    tags: tuple[tuple[str, str], ...] = ()
    smudged: bool = False
    local: Edge | None = None
    access: GitAccess | None = field(default=None, repr=False, metadata=UNKEYED)
    wanted: str = field(default="", metadata=UNKEYED)


@dataclass(frozen=True, slots=True)
class HttpSource:
    """What to download; `url` has no credentials in it, `header` is an Authorization value.

    `service` is where the address leads, for as long as `via` says where that listens.
    """

    url: str
    checksum: str = ""
    header: SecretRef | None = None
    service: AnyService | None = None
    via: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class HttpFile(Op):
    """A downloaded file, pinned to the digest of its body: gives a tree of one entry."""

    body: str
    size: int
    name: str
    mode: int = 0o600
    source: HttpSource | None = field(default=None, repr=False, metadata=UNKEYED)
