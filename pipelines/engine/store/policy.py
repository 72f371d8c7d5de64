"""How much the store may hold, and for how long."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import StoreError

__all__ = ["Disk", "Policy", "parse_size", "share_of"]

_GIB = 1 << 30
_DAY = 86400.0
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that the store is on: bytes and inodes, in all and free for us."""

    total: int
    free: int
    inodes: int
    free_inodes: int

    @classmethod
    def of(cls, path: Path) -> "Disk":
        """Look at the file system of a path."""
        found = os.statvfs(path)
        unit = found.f_frsize
        return cls(found.f_blocks * unit, found.f_bavail * unit, found.f_files, found.f_favail)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the collector aims at.

    Attributes:
        reserved: bytes that the store may always hold, however little is free.
        maximum: bytes that it must not exceed.
        min_free: bytes that must stay free on the disk.
        min_free_inodes: inodes that must stay free on the disk.
        keep_seconds: what was not used for that long goes once more than `reserved` is held.
        grace_seconds: what no record names stays for that long, if there is room.
    """

    reserved: int
    maximum: int
    min_free: int
    min_free_inodes: int
    keep_seconds: float = 30 * _DAY
    grace_seconds: float = _DAY

    @classmethod
    def of(cls, disk: Disk, settings: Mapping[str, str] | None = None) -> "Policy":
        """Give the policy for a disk; settings (sizes as "20GiB", days as "14") override.

        Settings: reserved, maximum, min_free, min_free_inodes, keep_days.

        Raises:
            StoreError: a setting is unknown or can not be read.
        """
        reserved = min(disk.total // 10, 20 * _GIB)
        given = dict(settings or {})
        policy = cls(
            parse_size("reserved", given.pop("reserved", str(reserved))),
            parse_size("maximum", given.pop("maximum", str(disk.total * 3 // 4))),
            parse_size("min_free", given.pop("min_free", str(disk.total // 20))),
            parse_size("min_free_inodes", given.pop("min_free_inodes", str(disk.inodes // 20))),
            parse_size("keep_days", given.pop("keep_days", "30")) * _DAY,
        )
        if given:
            raise StoreError(
                f"unknown store setting {next(iter(given))!r}; there are reserved, maximum, "
                "min_free, min_free_inodes, keep_days"
            )
        return policy


def parse_size(name: str, text: str) -> int:
    """Read a number with an optional binary unit: "500", "20G", "1.5 GiB".

    Raises:
        StoreError: neither.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise StoreError(f"store setting {name}: not a size: {text!r}; write it as 20GiB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def share_of(name: str, text: str, total: int) -> int:
    """Read a size, or a share of the disk: "20GB", "10%".

    Raises:
        StoreError: neither.
    """
    share = text.strip().removesuffix("%")
    if share != text.strip() and share.strip().isdigit():
        return total * int(share) // 100
    return parse_size(name, text)
