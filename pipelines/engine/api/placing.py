"""Container fields that put files, take them away and look at them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory, refuse
from pipelines.engine.api.file import File, stat_of
from pipelines.engine.api.looking import exists_as, follows
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import Stat
from pipelines.engine.errors import PathError
from pipelines.engine.op import (
    Apply,
    Chown,
    Copy,
    Edge,
    Exec,
    Lay,
    Link,
    MakeDir,
    Op,
    Patch,
    Put,
    Remove,
    Rootfs,
    Scratch,
    Write,
)
from pipelines.engine.tree import Entry

__all__ = ["FIELDS"]


def _changed(
    it: Container, path: str, expanded: bool, change: Callable[[Edge, str], Op]
) -> Container:
    """Apply an op where a path is kept; a slash at the path's end is handed on."""
    full = it.at(path, expanded)
    place = it.place(full)
    if place.mount is not None and place.mount.file:
        raise PathError(f"{full}: a file is mounted there; unmount it to write there")
    inner = place.path + "/" if path.endswith("/") and place.path else place.path
    return it.placed(place, Edge(change(place.base, inner)))


def with_directory(
    _session: Session,
    it: Container,
    *,
    path: str,
    source: Directory,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gitignore: bool,
    owner: str,
    expand: bool,
    permissions: int | None,
) -> Container:
    """Copy a directory in."""

    def copy(base: Edge, at: str) -> Op:
        where = at.rstrip("/")
        edge = source.edge
        return Copy(base, edge, where, include, exclude, gitignore, owner, permissions)

    return _changed(it, path, expand, copy)


def with_file(
    _session: Session,
    it: Container,
    *,
    path: str,
    source: File,
    permissions: int | None,
    owner: str,
    expand: bool,
) -> Container:
    """Copy a file in."""

    def copy(base: Edge, at: str) -> Op:
        return Copy(base, source.edge, at, owner=owner, mode=permissions, as_file=True)

    return _changed(it, path, expand, copy)


def with_files(
    session: Session,
    it: Container,
    *,
    path: str,
    sources: tuple[File, ...],
    permissions: int | None,
    owner: str,
    expand: bool,
) -> Container:
    """Copy files into a directory."""
    into = it.text(path, expand) + "/"
    for source in sources:
        it = with_file(
            session,
            it,
            path=into,
            source=source,
            permissions=permissions,
            owner=owner,
            expand=False,
        )
    return it


def with_new_file(
    _session: Session,
    it: Container,
    *,
    path: str,
    contents: str,
    permissions: int,
    owner: str,
    expand: bool,
) -> Container:
    """Write a file."""
    data = contents.encode()
    return _changed(it, path, expand, lambda base, at: Write(base, at, data, permissions, owner))


def with_symlink(
    _session: Session, it: Container, *, target: str, link_name: str, expand: bool
) -> Container:
    """Make a symbolic link."""
    points = it.text(target, expand)
    return _changed(it, link_name, expand, lambda base, at: Link(base, at, points))


def _removed(it: Container, paths: Iterable[str], expanded: bool) -> Container:
    for path in paths:
        it = _changed(it, path, expanded, lambda base, at: Remove(base, (at,)))
    return it


def without_directory(_session: Session, it: Container, *, path: str, expand: bool) -> Container:
    """Remove a directory."""
    return _removed(it, [path], expand)


def without_file(_session: Session, it: Container, *, path: str, expand: bool) -> Container:
    """Remove a file."""
    return _removed(it, [path], expand)


def without_files(
    _session: Session, it: Container, *, paths: tuple[str, ...], expand: bool
) -> Container:
    """Remove files."""
    return _removed(it, paths, expand)


def rootfs(_session: Session, it: Container) -> Directory:
    """Give the root filesystem, without what is mounted."""
    return Directory(it.rootfs)


def with_rootfs(_session: Session, it: Container, *, directory: Directory) -> Container:
    """Replace the root filesystem; a snapshot stays one, a tree becomes a layer of its own."""
    edge = directory.edge
    if not _gives_snapshot(edge.op):
        edge = Edge(Copy(Edge(Scratch()), edge, ""))
    return replace(it, rootfs=edge, image="")


def _gives_snapshot(op: Op) -> bool:
    """Tell what a command can start from: changes of a snapshot are one, all else is a tree."""
    while isinstance(op, Write | MakeDir | Link | Copy | Remove | Chown | Put | Apply | Patch):
        op = op.base.op
    return isinstance(op, Exec | Rootfs | Scratch | Lay)


def directory(_session: Session, it: Container, *, path: str, expand: bool) -> Directory:
    """Look at a directory."""
    full = it.at(path, expand)
    place = it.place(full)
    if place.mount is not None and place.mount.file:
        raise PathError(f"path {full} is a file, not a directory")
    return Directory(place.base, place.path)


def file(_session: Session, it: Container, *, path: str, expand: bool) -> File:
    """Look at a file."""
    full = it.at(path, expand)
    place = it.place(full)
    mounted = place.mount is not None and place.mount.file
    if not place.path and not mounted:
        raise PathError(f"path {full} is a directory, not a file")
    return File(place.base, place.path)


async def _entry(session: Session, it: Container, full: str, *, follow: bool) -> Entry | None:
    """Look a path up where it is kept."""
    place = it.place(full)
    if place.mount is not None and place.mount.file:
        return None if place.path else (await session.engine.tree(place.base)).file[1]
    return await session.engine.status(place.base, place.path, follow)


async def exists(
    session: Session,
    it: Container,
    *,
    path: str,
    expected_type: str | None,
    do_not_follow_symlinks: bool,
    expand: bool,
) -> bool:
    """Tell whether a path exists."""
    follow = follows(expected_type, do_not_follow_symlinks)
    entry = await _entry(session, it, it.at(path, expand), follow=follow)
    return exists_as(entry, expected_type)


async def stat(session: Session, it: Container, *, path: str, do_not_follow_symlinks: bool) -> Stat:
    """Describe what is at a path."""
    full = it.at(path)
    entry = await _entry(session, it, full, follow=not do_not_follow_symlinks)
    if entry is None:
        raise PathError(f"stat {full}: no such file or directory")
    return stat_of(full, entry)


FIELDS: dict[str, Callable[..., Any]] = {
    "directory": directory,
    "exists": exists,
    "file": file,
    "rootfs": rootfs,
    "stat": stat,
    "withDirectory": with_directory,
    "withError": refuse,
    "withFile": with_file,
    "withFiles": with_files,
    "withNewFile": with_new_file,
    "withRootfs": with_rootfs,
    "withSymlink": with_symlink,
    "withoutDirectory": without_directory,
    "withoutFile": without_file,
    "withoutFiles": without_files,
}
