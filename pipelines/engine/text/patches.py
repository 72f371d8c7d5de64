"""Patches applied to the contents of files, as `git apply` does; `patchread` reads them.

Lines must be where the patch says or anywhere else, but all of them: nothing is guessed.

Source: git's documentation of `git apply`; Documentation/gitformat-pack.adoc for deltas.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.engine.errors import QueryError
from pipelines.engine.text.diffs import object_id
from pipelines.engine.text.lines import split

__all__ = ["Binary", "FilePatch", "Hunk", "apply"]


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that are looked for and those that take their place; `line` is in the patch."""

    line: int
    old_start: int
    new_start: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]
    trailing: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Contents whole, or as a delta against what is there."""

    data: bytes
    is_delta: bool


@dataclass(slots=True)
class FilePatch:
    """What a patch does to one file; None for a side that is not there."""

    line: int
    old: str | None = None
    new: str | None = None
    old_mode: int | None = None
    new_mode: int | None = None
    is_copy: bool = False
    old_id: str = ""
    hunks: list[Hunk] = field(default_factory=list)
    binary: Binary | None = None

    @property
    def name(self) -> str:
        """The path, for messages."""
        return self.new or self.old or "?"


def apply(patch: FilePatch, data: bytes) -> bytes:
    """Change the contents of a file.

    Raises:
        QueryError: the file does not hold what the patch changes; says where.
    """
    if patch.binary is not None:
        if patch.old_id.strip("0") and not object_id(data).startswith(patch.old_id):
            raise QueryError(
                f"patch: {patch.name}: the binary file is not the one that the patch was made "
                f"from (git calls it {patch.old_id[:12]})"
            )
        return _undelta(patch, data) if patch.binary.is_delta else patch.binary.data
    image = split(data)
    fresh = [True] * len(image)
    for hunk in patch.hunks:
        at = _place(image, fresh, hunk)
        if at is None:
            raise QueryError(
                f"patch: {patch.name}:{hunk.old_start}: the patch does not apply: the lines that "
                f"its line {hunk.line} speaks of are not in the file"
            )
        image[at : at + len(hunk.old)] = hunk.new
        fresh[at : at + len(hunk.old)] = [False] * len(hunk.new)
    return b"".join(image)


def _place(image: Sequence[bytes], fresh: Sequence[bool], hunk: Hunk) -> int | None:
    """Find where a hunk fits, nearest to where it should be; changed lines do not count."""
    count, last = len(hunk.old), len(image) - len(hunk.old)
    expected = max(0, hunk.new_start - 1) if hunk.new else hunk.new_start

    def fits(at: int) -> bool:
        return tuple(image[at : at + count]) == hunk.old and all(fresh[at : at + count])

    # A hunk of the first lines, or with nothing after its changes, fits only there.
    at_start, at_end = hunk.old_start <= 1, hunk.trailing == 0
    if at_start or at_end:
        candidates = [0] if at_start else [last]
        if at_start and at_end and last != 0:
            return None
        return next((at for at in candidates if 0 <= at <= last and fits(at)), None)
    nearest = sorted(range(last + 1), key=lambda at: abs(at - expected))
    return next((at for at in nearest if fits(at)), None)


def _undelta(patch: FilePatch, base: bytes) -> bytes:
    """Apply a delta of git's."""
    assert patch.binary is not None
    delta = patch.binary.data
    try:
        size, at = _size(delta, 0)
        wanted, at = _size(delta, at)
        made = bytearray()
        while at < len(delta):
            piece, at = _instruction(delta, at, base)
            made += piece
        if size == len(base) and wanted == len(made):
            return bytes(made)
    except IndexError:
        pass
    raise QueryError(f"patch: {patch.name}: its binary delta is damaged, or not of this file")


def _size(delta: bytes, at: int) -> tuple[int, int]:
    """Read a number of 7 bits a byte; give it and where it ends."""
    value = shift = 0
    while True:
        byte = delta[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _instruction(delta: bytes, at: int, base: bytes) -> tuple[bytes, int]:
    """Take bytes out of the delta, or copy some of the base; give them and where it ends."""
    code = delta[at]
    at += 1
    if not code & 0x80:
        return delta[at : at + code], at + code
    fields = bytearray(7)  # four bytes of the offset, three of the length; zeros are left out
    for bit in range(7):
        if code & 1 << bit:
            fields[bit] = delta[at]
            at += 1
    offset = int.from_bytes(fields[:4], "little")
    length = int.from_bytes(fields[4:], "little") or 0x10000
    return base[offset : offset + length], at
