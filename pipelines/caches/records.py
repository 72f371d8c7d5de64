"""Records of a generation: small values by key, such as the engine's records of results."""

from array import array
from collections.abc import Mapping

from pipelines.caches.columns import ints, join, planes, split, strings, terminated
from pipelines.caches.errors import Damaged

__all__ = ["decode", "encode"]

_COLUMNS = 3


def encode(records: Mapping[str, bytes]) -> bytes:
    """Make a manifest's section of records, sorted by key."""
    keys = sorted(records)
    for key in keys:
        if "\0" in key:
            raise ValueError(f"the record key {key!r} has a zero byte in it")
    return join([
        terminated([key.encode() for key in keys]),
        planes(array("I", (len(records[key]) for key in keys))),
        b"".join(records[key] for key in keys),
    ])  # fmt: skip


def decode(block: bytes) -> dict[str, bytes]:
    """Read a manifest's section.

    Raises:
        Damaged: its columns do not fit each other.
    """
    names, sizes, values = split(block, _COLUMNS)
    lengths = ints(sizes, "I", len(sizes) // 4)
    if sum(lengths) != len(values):
        raise Damaged(f"records of {sum(lengths)} bytes in a column of {len(values)}")
    found: dict[str, bytes] = {}
    at = 0
    try:
        for name, length in zip(strings(names, len(lengths)), lengths, strict=True):
            found[name.decode()] = values[at : at + length]
            at += length
    except UnicodeDecodeError as exc:
        raise Damaged(f"a record's key is not UTF-8: {exc}") from exc
    return found
