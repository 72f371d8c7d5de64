"""Putting the outputs of many cells into one directory."""

from collections.abc import Mapping

from pipelines._dagger import dagger
from pipelines._errors import EmptyMatrix, UsageError

__all__ = ["dist", "folder"]


def dist(parts: Mapping[object, dagger.Directory]) -> dagger.Directory:
    """Give every cell's directory a sub-directory, such as `linux-arm64/`.

    Raises:
        EmptyMatrix: `parts` is empty.
        UsageError: two cells would share a sub-directory.
    """
    if not parts:
        raise EmptyMatrix("dist() got no directories: every cell of the matrix was filtered out")
    result, seen = dagger.dag.directory(), dict[str, object]()
    for cell, directory in parts.items():
        name = folder(cell)
        if name in seen:
            raise UsageError(f"{cell!r} and {seen[name]!r} would both go to {name}/")
        seen[name] = cell
        result = result.with_directory(name, directory)
    return result


def folder(cell: object) -> str:
    """Name the sub-directory of a cell: its text with `-` for what a file name can not have."""
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in str(cell)).strip("-.")
    if not name:
        raise UsageError(f"{cell!r} does not give a directory name")
    return name
