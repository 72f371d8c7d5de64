"""Directories: an edge that gives a tree or a snapshot, and where in it the directory is.

`directory(path)` only notes the path; the op that takes the directory out is made when
something needs it, so a chain of `directory` calls is one op, and a container's `rootfs` is
the very edge that its commands start from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api.file import File, owned
from pipelines.engine.api.session import Session
from pipelines.engine.errors import EngineError, PathError, UnsupportedField
from pipelines.engine.op import (
    Chown,
    Copy,
    Diff,
    Edge,
    Filter,
    Link,
    MakeDir,
    Op,
    Remove,
    Select,
    Touch,
    Write,
)
from pipelines.engine.tree import paths as treepath

__all__ = ["FIELDS", "Directory", "below", "inside", "refuse"]


@dataclass(frozen=True, slots=True)
class Directory:
    """The directory at `path` ("" is all) of what `base` gives."""

    TYPE: ClassVar[str] = "Directory"

    base: Edge
    path: str = ""

    @property
    def edge(self) -> Edge:
        """The edge that gives this directory as a whole."""
        return Edge(Select(self.base, self.path)) if self.path else self.base


def inside(path: str) -> str:
    """Spell a path relative to the directory that it is in.

    Raises:
        PathError: it leaves the directory.
    """
    return "/".join(treepath.clean(path))


def below(directory: Directory, path: str) -> str:
    """Join a path to where the directory is; it can not leave the directory."""
    clean = inside(path)
    return f"{directory.path}/{clean}".strip("/")


def _made(op: Op) -> Directory:
    return Directory(Edge(op))


def directory(_session: Session, it: Directory, *, path: str) -> Directory:
    """Look at a directory below."""
    return Directory(it.base, below(it, path))


def file(_session: Session, it: Directory, *, path: str) -> File:
    """Look at a file below.

    Raises:
        PathError: the path names the directory itself.
    """
    if not inside(path):
        raise PathError(f"path {path!r} is a directory, not a file")
    return File(it.base, below(it, path))


def with_directory(
    _session: Session,
    it: Directory,
    *,
    path: str,
    source: Directory,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gitignore: bool,
    owner: str,
    permissions: int | None,
) -> Directory:
    """Copy a directory in."""
    at = inside(path)
    copy = Copy(it.edge, source.edge, at, include, exclude, gitignore, owner, permissions)
    return _made(copy)


def with_file(
    _session: Session,
    it: Directory,
    *,
    path: str,
    source: File,
    permissions: int | None,
    owner: str,
) -> Directory:
    """Copy a file in."""
    # A slash at the end says that the path is a directory to put the file in.
    at = inside(path) + "/" if path.endswith("/") else inside(path)
    copy = Copy(it.edge, source.edge, at, owner=owner, mode=permissions, as_file=True)
    return _made(copy)


def with_files(
    session: Session,
    it: Directory,
    *,
    path: str,
    sources: tuple[File, ...],
    permissions: int | None,
) -> Directory:
    """Copy files into a directory."""
    for source in sources:
        it = with_file(
            session, it, path=path + "/", source=source, permissions=permissions, owner=""
        )
    return it


def with_new_file(
    _session: Session, it: Directory, *, path: str, contents: str, permissions: int
) -> Directory:
    """Write a file."""
    return _made(Write(it.edge, inside(path), contents.encode(), permissions))


def with_new_directory(
    _session: Session, it: Directory, *, path: str, permissions: int
) -> Directory:
    """Make a directory."""
    return _made(MakeDir(it.edge, inside(path), permissions))


def with_symlink(_session: Session, it: Directory, *, target: str, link_name: str) -> Directory:
    """Make a symbolic link."""
    return _made(Link(it.edge, inside(link_name), target))


def without_directory(_session: Session, it: Directory, *, path: str) -> Directory:
    """Remove a directory."""
    return _made(Remove(it.edge, (inside(path),)))


def without_file(_session: Session, it: Directory, *, path: str) -> Directory:
    """Remove a file."""
    return _made(Remove(it.edge, (inside(path),)))


def without_files(_session: Session, it: Directory, *, paths: tuple[str, ...]) -> Directory:
    """Remove files."""
    return _made(Remove(it.edge, tuple(inside(path) for path in paths)))


def filter_(
    _session: Session,
    it: Directory,
    *,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gitignore: bool,
) -> Directory:
    """Keep what matches."""
    if not (exclude or include or gitignore):
        return it
    return _made(Filter(it.edge, include, exclude, gitignore))


def diff(_session: Session, it: Directory, *, other: Directory) -> Directory:
    """Keep what `other` has and this one has not, or has otherwise."""
    return _made(Diff(it.edge, other.edge))


def chown(_session: Session, it: Directory, *, path: str, owner: str) -> Directory:
    """Change owners below a path."""
    return _made(Chown(it.edge, inside(path), owned("Directory.chown", owner)))


def with_timestamps(_session: Session, it: Directory, *, timestamp: int) -> Directory:
    """Pin modification times."""
    return _made(Touch(it.edge, timestamp))


def refuse(_session: Session, it: object, *, err: str) -> object:
    """Fail with a message of the caller's; an empty one is none."""
    if err:
        raise EngineError(err)
    return it


async def docker_build(
    session: Session,
    it: Directory,
    *,
    dockerfile: str,
    platform: str | None,
    build_args: tuple[Mapping[str, str], ...],
    target: str,
    secrets: tuple[Any, ...],
    no_init: bool,  # noqa: ARG001  # the sandbox is its own init
    ssh: object,
) -> object:
    """Build a container from a Dockerfile.

    Raises:
        UnsupportedField: an ssh agent is to be handed over.
    """
    if ssh is not None:
        raise UnsupportedField("Directory.dockerBuild(ssh)", "no ssh agent is handed to commands")
    # Most sessions have no Dockerfile.
    from pipelines.engine.api.docker.build import build

    arguments = {row["name"]: row["value"] for row in build_args}
    return await build(session, it, dockerfile, platform or "", arguments, target, secrets)


FIELDS: dict[str, Callable[..., Any]] = {
    "chown": chown,
    "diff": diff,
    "directory": directory,
    "dockerBuild": docker_build,
    "file": file,
    "filter": filter_,
    "withDirectory": with_directory,
    "withError": refuse,
    "withFile": with_file,
    "withFiles": with_files,
    "withNewDirectory": with_new_directory,
    "withNewFile": with_new_file,
    "withSymlink": with_symlink,
    "withTimestamps": with_timestamps,
    "withoutDirectory": without_directory,
    "withoutFile": without_file,
    "withoutFiles": without_files,
}
