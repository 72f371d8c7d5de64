"""Container fields that mount."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipelines.engine.api.cachevolume import CacheVolume, mounted
from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory
from pipelines.engine.api.file import File
from pipelines.engine.api.secret import Secret
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError
from pipelines.engine.op import CacheMount, DirMount, SecretMount, TempMount

__all__ = ["FIELDS"]


def _target(it: Container, path: str, expanded: bool) -> str:
    target = it.at(path, expanded)
    if target == "/":
        raise QueryError("mount at /: use withRootfs to replace the root filesystem")
    return target


def with_mounted_directory(
    _session: Session,
    it: Container,
    *,
    path: str,
    source: Directory,
    owner: str,
    read_only: bool,
    expand: bool,
) -> Container:
    """Mount a directory."""
    return it.mounted(DirMount(_target(it, path, expand), source.edge, read_only, owner))


def with_mounted_file(
    _session: Session, it: Container, *, path: str, source: File, owner: str, expand: bool
) -> Container:
    """Mount a file."""
    target = _target(it, path, expand)
    return it.mounted(DirMount(target, source.edge, owner=owner, file=True))


def with_mounted_cache(
    _session: Session,
    it: Container,
    *,
    path: str,
    cache: CacheVolume,
    source: Directory | None,
    sharing: str,
    owner: str,
    expand: bool,
) -> Container:
    """Mount a cache volume."""
    volume = mounted(cache, sharing, owner, source)
    return it.mounted(CacheMount(_target(it, path, expand), volume))


def with_mounted_temp(
    _session: Session, it: Container, *, path: str, size: int | None, expand: bool
) -> Container:
    """Mount a tmpfs."""
    if size is not None and size <= 0:
        raise QueryError(f"Container.withMountedTemp: size is {size}; give a number of bytes")
    return it.mounted(TempMount(_target(it, path, expand), size))


def with_mounted_secret(
    _session: Session,
    it: Container,
    *,
    path: str,
    source: Secret,
    owner: str,
    mode: int,
    expand: bool,
) -> Container:
    """Mount a secret as a file."""
    return it.mounted(SecretMount(_target(it, path, expand), source.ref, owner, mode))


def without_mount(_session: Session, it: Container, *, path: str, expand: bool) -> Container:
    """Unmount what is mounted at a path."""
    target = it.at(path, expand)
    return replace(it, mounts=tuple(m for m in it.mounts if m.target != target))


def mounts(_session: Session, it: Container) -> tuple[str, ...]:
    """List where something is mounted; a secret is no mount to the API."""
    return tuple(mount.target for mount in it.mounts if not isinstance(mount, SecretMount))


FIELDS: dict[str, Callable[..., Any]] = {
    "mounts": mounts,
    "withMountedCache": with_mounted_cache,
    "withMountedDirectory": with_mounted_directory,
    "withMountedFile": with_mounted_file,
    "withMountedSecret": with_mounted_secret,
    "withMountedTemp": with_mounted_temp,
    "withoutMount": without_mount,
}
