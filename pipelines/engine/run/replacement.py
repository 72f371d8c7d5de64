"""Text replacement in one file's bytes."""

from pipelines.engine.errors import PathError

__all__ = ["replaced"]


def replaced(
    data: bytes, search: bytes, replacement: bytes, every: bool, first_from: int | None
) -> bytes:
    """Replace text: every match, the first from a line (1 is the first), or the only one.

    Raises:
        PathError: nothing matches, or more than one does and none was chosen.
    """
    count = data.count(search) if search else 0
    if not count:
        raise PathError(f"replace {search!r}: not found in the file")
    if every:
        return data.replace(search, replacement)
    start = 0
    if first_from is not None:
        lines = data.splitlines(keepends=True)
        start = sum(len(line) for line in lines[: max(0, first_from - 1)])
        if data.find(search, start) < 0:
            raise PathError(f"replace {search!r}: not found from line {first_from} on")
    elif count > 1:
        raise PathError(f"replace {search!r}: found {count} times; replace all, or say which")
    return data[:start] + data[start:].replace(search, replacement, 1)
