"""Tags of language images: a version, a distribution and `slim`, in any order, all optional."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from pipelines.engine.errors import ImageError
from pipelines.engine.images.reference import Reference

__all__ = ["Variant", "read"]

_ALPINE = re.compile(r"alpine(?:\d+\.\d+)?")
_WINDOWS = re.compile(r"windowsservercore|nanoserver")
_NEWEST = frozenset(("latest", "stable", "current"))


@dataclass(frozen=True, slots=True)
class Variant:
    """What a tag asks for; `version` and `suite` are "" where it does not say."""

    version: str = ""
    suite: str = ""
    slim: bool = False


def read(ref: Reference, suites: Collection[str], instead: str) -> Variant:
    """Read a tag like `3.11-slim-bookworm`; the version is checked by the caller.

    Args:
        ref: the reference, which errors name.
        suites: the distributions that there are.
        instead: an example to give to who asks for Alpine or Windows.

    Raises:
        ImageError: a part can not be given.
    """
    version, suite, slim = "", "", False
    for part in ref.tag.split("-"):
        if _ALPINE.fullmatch(part):
            raise ImageError(
                f"image {ref}: Alpine packages come from registries that no package client of "
                f"this host speaks to, so there is no package image with an Alpine userland; use "
                f"{instead}, import the image from an archive, or use --engine dagger"
            )
        if _WINDOWS.match(part):
            raise ImageError(f"image {ref}: images of Windows do not run here; use {instead}")
        if part == "slim":
            slim = True
        elif part in suites:
            suite = part
        elif part in _NEWEST or version:
            version = f"{version}-{part}" if version else ""
        else:
            version = part
    return Variant(version, suite, slim)
