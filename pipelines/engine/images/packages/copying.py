"""Copy trees of the host into images: fast, and with everything but content normalised.

Directories and executables become 0755, other files 0644, owner the copier's, no times kept;
what is neither a file, a directory nor a symbolic link is left out.
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from pipelines.engine.errors import ImageError, StoreFull

__all__ = ["copy_file", "copy_tree", "write_file"]

_CHUNK = 1 << 30


def copy_tree(
    source: Path,
    into: Path,
    keep: Callable[[str], bool] = lambda _: True,
    mode: Callable[[str], int | None] = lambda _: None,
) -> None:
    """Copy a directory's content into a new directory.

    Args:
        source: a directory of the host.
        into: is made if it is missing.
        keep: sees top-level names, and says which are copied.
        mode: sees relative paths of files, and gives a mode or None for the normal one.

    Raises:
        ImageError: something can not be read. StoreFull: no room.
    """
    try:
        os.makedirs(into, exist_ok=True)
        levels = [""]
        while levels:
            levels += _copy_level(os.fspath(source), os.fspath(into), levels.pop(), keep, mode)
            keep = _everything
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(f"no room to copy {source} into the store") from exc
        raise ImageError(f"copying {source}: {exc.filename}: {exc.strerror}") from exc


def _everything(_: str) -> bool:
    return True


def _copy_level(
    source: str,
    into: str,
    level: str,
    keep: Callable[[str], bool],
    mode: Callable[[str], int | None],
) -> list[str]:
    """Copy one directory's entries; give the directories among them, made but empty."""
    directories: list[str] = []
    with os.scandir(f"{source}/{level}") as found:
        entries = [entry for entry in found if keep(entry.name)]
    for entry in entries:
        path = f"{level}{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), f"{into}/{path}")
        elif entry.is_dir():
            os.mkdir(f"{into}/{path}", 0o755)
            directories.append(f"{path}/")
        elif entry.is_file():
            copy_file(entry.path, f"{into}/{path}", mode(path))
    return directories


def copy_file(source: str, target: str, mode: int | None = None) -> None:
    """Copy one file to a new path; executables become 0755, others 0644."""
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(reader)
        normal = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        writer = os.open(target, flags, 0o600)
        try:
            _pour(reader, writer)
            os.fchmod(writer, normal if mode is None else mode)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _pour(reader: int, writer: int) -> None:
    """Copy in the kernel; by hand where the two file systems will not."""
    try:
        while os.copy_file_range(reader, writer, _CHUNK):
            pass
    except OSError as exc:
        if exc.errno not in {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        os.lseek(reader, 0, os.SEEK_SET)
        os.ftruncate(writer, 0)
        os.lseek(writer, 0, os.SEEK_SET)
        while os.sendfile(writer, reader, None, _CHUNK):
            pass


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a small new file of an image."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    os.utime(path, (0, 0))
