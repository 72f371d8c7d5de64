"""Go toolchains as values: versions, what a tag stands for, and which of several is newest."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.engine.images.info import Evidence

__all__ = ["Toolchain", "matches", "newest", "version_key"]

_PARTS = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:(rc|beta)(\d+))?")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A Go release in some place.

    `fingerprint` is empty for an official release, which its version names completely, and
    digests the compiler of one that somebody built or patched.
    """

    version: str
    origin: str
    evidence: tuple[Evidence, ...] = ()
    fingerprint: str = ""


def version_key(version: str) -> tuple[int, int, int, int, int]:
    """Order releases: betas, then release candidates, then the release.

    Raises:
        ValueError: not a Go version.
    """
    found = _PARTS.fullmatch(version)
    if found is None:
        raise ValueError(f"not a Go version: {version!r}")
    major, minor, patch, stage, number = found.groups()
    rank = {"beta": 0, "rc": 1, None: 2}[stage]
    # A release candidate of 1.27 precedes 1.27.0.
    return int(major), int(minor or 0), int(patch or 0), rank, int(number or 0)


def matches(version: str, tag: str) -> bool:
    """Tell whether a release is one that a tag stands for; "" stands for any final release."""
    if version == tag or (tag.count(".") == 1 and version == f"{tag}.0"):
        return True
    final = version_key(version)[3] == 2  # noqa: PLR2004
    return final and (not tag or f"{version}.".startswith(f"{tag}."))


def newest(versions: Iterable[str], tag: str) -> str | None:
    """Choose the newest release that a tag stands for."""
    return max((v for v in versions if matches(v, tag)), key=version_key, default=None)
