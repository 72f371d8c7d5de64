"""Containers: a root filesystem, a configuration and mounts, as a value.

Everything that a field may change is here; the fields themselves are in `configuring` (image
configuration), `placing` (files), `mounting`, `running` (commands) and `imaging` (images).

A path belongs to the innermost mount that it lies in, and to the root filesystem if it lies
in none. What is written there changes that mount's source: it is seen by later commands of
this chain and never becomes part of the image.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from pipelines.engine.api.config import Config
from pipelines.engine.errors import PathError
from pipelines.engine.keys import DEFAULT_PATH, absolute, expand
from pipelines.engine.op import (
    Binding,
    CacheMount,
    DirMount,
    Edge,
    Exec,
    Mount,
    SecretRef,
    TempMount,
)

__all__ = ["Container", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path is kept: `path` relative in `base`; `mount` is None for the root."""

    base: Edge
    path: str
    mount: DirMount | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """A container.

    `volatile` holds variables whose values key nothing; `services` are bound to later
    commands; `last` is the last command, if any; `image` is the reference that the root
    filesystem came from, untouched since.
    """

    TYPE: ClassVar[str] = "Container"

    platform: str
    rootfs: Edge
    config: Config = field(default_factory=Config)
    mounts: tuple[Mount, ...] = ()
    secret_env: tuple[tuple[str, SecretRef], ...] = ()
    volatile: tuple[tuple[str, str], ...] = ()
    services: tuple[Binding, ...] = ()
    last: Exec | None = None
    image: str = ""

    @property
    def hidden(self) -> set[str]:
        """The names of variables whose values only a command sees."""
        return {name for name, _ in (*self.secret_env, *self.volatile)}

    def text(self, text: str, expanded: bool) -> str:
        """Expand variables in an argument, if that was asked for."""
        if not expanded:
            return text
        return expand(text, {"PATH": DEFAULT_PATH} | dict(self.config.env), self.hidden)

    def at(self, path: str, expanded: bool = False) -> str:
        """Make a path absolute: relative ones start from the working directory."""
        return absolute(self.text(path, expanded), self.config.workdir)

    def place(self, path: str) -> Place:
        """Find where an absolute path is kept.

        Raises:
            PathError: it lies in a mount whose contents are not part of the graph.
        """
        mount = self.mount_of(path)
        if mount is None:
            return Place(self.rootfs, path[1:])
        if not isinstance(mount, DirMount):
            kind = {CacheMount: "cache", TempMount: "tmpfs"}.get(type(mount), "secret")
            raise PathError(
                f"{path}: cannot retrieve path from {kind}; "
                f"copy what is needed out of {mount.target} in a command"
            )
        return Place(mount.source, path[len(mount.target) :].lstrip("/"), mount)

    def mount_of(self, path: str) -> Mount | None:
        """Give the innermost mount that an absolute path lies in."""
        around = [m for m in self.mounts if path == m.target or path.startswith(m.target + "/")]
        return max(around, key=lambda mount: len(mount.target), default=None)

    def placed(self, place: Place, source: Edge) -> "Container":
        """Put what a place became."""
        if place.mount is None:
            return replace(self, rootfs=source, image="")
        changed = replace(place.mount, source=source)
        mounts = tuple(changed if m is place.mount else m for m in self.mounts)
        return replace(self, mounts=mounts)

    def mounted(self, mount: Mount) -> "Container":
        """Add a mount; it hides what was mounted at its target and below."""
        below = mount.target.rstrip("/") + "/"
        kept = (
            m for m in self.mounts if m.target != mount.target and not m.target.startswith(below)
        )
        return replace(self, mounts=(*kept, mount))

    def configured(self, **changes: object) -> "Container":
        """Change the configuration."""
        config = replace(self.config, **changes)  # type: ignore[arg-type]  # names are Config's
        return replace(self, config=config)
