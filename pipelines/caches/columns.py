"""Columns: how tables of a manifest become bytes and back.

A block is a little-endian u32 that counts columns, then for each a u64 length and its bytes.
A column of integers is kept in byte planes: first the lowest byte of every number, then the
next, so that what is equal from row to row (the high bytes of a time, all of an owner) costs
nothing after zstd. The same rows give the same bytes on every machine.
"""

import struct
import sys
from array import array
from collections.abc import Sequence

from pipelines.caches.errors import Damaged

__all__ = ["ints", "join", "planes", "split", "strings", "terminated"]

_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")


def join(columns: Sequence[bytes]) -> bytes:
    """Make a block of columns."""
    parts = [_COUNT.pack(len(columns))]
    for column in columns:
        parts += (_LENGTH.pack(len(column)), column)
    return b"".join(parts)


def split(block: bytes, count: int) -> list[bytes]:
    """Take a block apart; columns beyond `count`, of a newer minor version, are let go.

    Raises:
        Damaged: it is no block of that many columns.
    """
    columns: list[bytes] = []
    try:
        (held,) = _COUNT.unpack_from(block)
        at = _COUNT.size
        for _ in range(min(held, count)):
            (length,) = _LENGTH.unpack_from(block, at)
            at += _LENGTH.size
            if length > len(block) - at:
                raise Damaged(f"a column of {length} bytes in a block of {len(block)}")
            columns.append(block[at : at + length])
            at += length
    except struct.error as exc:
        raise Damaged(f"a block of {len(block)} bytes ends within a column") from exc
    if len(columns) != count:
        raise Damaged(f"a block of {len(columns)} columns where {count} belong")
    return columns


def planes(numbers: "array[int]") -> bytes:
    """Make a column of integers."""
    width = numbers.itemsize
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    raw = numbers.tobytes()
    return b"".join(raw[i::width] for i in range(width))


def ints(column: bytes, typecode: str, count: int) -> "array[int]":
    """Read a column of `count` integers.

    Raises:
        Damaged: it has another length.
    """
    numbers = array(typecode)
    width = numbers.itemsize
    if len(column) != width * count:
        raise Damaged(f"a column of {len(column)} bytes for {count} numbers of {width} bytes")
    raw = bytearray(len(column))
    for i in range(width):
        raw[i::width] = column[i * count : (i + 1) * count]
    numbers.frombytes(bytes(raw))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def strings(column: bytes, count: int) -> list[bytes]:
    """Read a column of `count` strings, each closed by a zero byte.

    Raises:
        Damaged: there are more or fewer.
    """
    *found, rest = column.split(b"\0")
    if rest or len(found) != count:
        raise Damaged(f"a column of {len(found)} names where {count} belong")
    return found


def terminated(texts: Sequence[bytes]) -> bytes:
    """Make a column of strings."""
    return b"\0".join(texts) + b"\0" if texts else b""
