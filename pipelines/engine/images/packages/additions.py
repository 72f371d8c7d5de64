"""Debian packages over a Debian image, as a layer of its own.

`tools` is what images of languages are expected to have besides the language: what fetches
sources and what compiles the parts that are in C. It is one layer for all of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.base import Pin
from pipelines.engine.images.packages.debian import Debian
from pipelines.engine.images.packages.release import Offered
from pipelines.engine.images.reference import Reference

__all__ = ["TOOLS", "Additions", "debian_of"]

_RECIPE = 1
TOOLS = (
    *("ca-certificates", "curl", "g++", "gcc", "git", "libc6-dev", "make", "openssh-client"),
    *("patch", "pkg-config", "procps", "python3", "unzip", "wget", "xz-utils"),
)


class Additions:
    """Pins Debian images to build upon, and installs packages in them."""

    kinds = ("debian-packages",)

    def __init__(self, debian: Debian) -> None:
        self._debian = debian

    def base(self, ref: Reference, suite: str, platform: str, *, slim: bool) -> Pin:
        """Pin what a language stands on: a Debian with the tools, or a slim one without.

        Raises:
            ImageError: there is no such Debian here, or nothing can be installed in it.
        """
        name = f"debian:{suite}-slim" if slim else f"debian:{suite}"
        pin = self._debian.pin(Reference.parse(name), platform)
        if pin.versions["tool"] != "mmdebstrap":
            raise ImageError(
                f"image {ref}: it stands on {name}, in which packages are installed by "
                "mmdebstrap; install that (Debian, Ubuntu: `apt-get install mmdebstrap`)"
            )
        return pin if slim else self._over(pin, TOOLS)

    def _over(self, base: Pin, packages: tuple[str, ...]) -> Pin:
        return Pin(
            package="debian-packages",
            recipe=_RECIPE,
            versions={"packages": " ".join(packages)},
            contents={},
            origins={"packages": "apt"},
            base=base,
        )

    def offered(self, base: Pin, names: tuple[str, ...]) -> Offered:
        """Tell which versions of packages a pinned archive has."""
        while base.base is not None:
            base = base.base
        return self._debian.offered(base, names)

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Install the packages."""
        self._debian.add(debian_of(recipe), recipe["versions"]["packages"].split(), into)


def debian_of(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the recipe at the bottom of a stack."""
    while (base := recipe.get("base")) is not None:
        recipe = base
    return recipe
