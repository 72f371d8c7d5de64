"""`ziglang:<version>`: a scratch root with Zig, which has a C and C++ compiler for every target.

Zig comes from the `ziglang` wheel, through pip. An exact version needs no question to pin; its
wheels never change.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pipelines.engine import machines
from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.base import DEFAULT_PATH, Pin
from pipelines.engine.images.packages.busybox import Shell
from pipelines.engine.images.packages.copying import copy_tree
from pipelines.engine.images.packages.room import room
from pipelines.engine.images.packages.skeleton import make_skeleton, settle
from pipelines.engine.images.packages.toolchain import newest
from pipelines.engine.images.reference import Reference

__all__ = ["Zig"]

_RECIPE = 1
_EXACT = re.compile(r"\d+\.\d+\.\d+(?:\.post\d+)?")
_PREFIX = re.compile(r"\d+(?:\.\d+)?")
_PLACE = "usr/local/zig"
_INSIDE = "ziglang/"


class Source(Protocol):
    """Where wheels come from."""

    def versions(self) -> list[str]:
        """Give the versions that there are."""
        ...

    def download(self, version: str, into: Path) -> Path:
        """Download the wheel of a version for this machine."""
        ...

    def unpack(self, wheel: Path, into: Path, below: str = "") -> None:
        """Unpack what is below a directory of a wheel."""
        ...


class Zig:
    """The images `ziglang`, `ziglang:0.15`, `ziglang:0.15.2`."""

    names = ("ziglang",)
    foreign = False
    kinds = ("ziglang",)

    def __init__(self, wheels: Source, shell: Shell, scratch: Path) -> None:
        self._wheels = wheels
        self._shell = shell
        self._scratch = scratch

    def example(self) -> str:
        """Show what can be asked for."""
        return "ziglang:<version>"

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide which release a tag stands for."""
        shell = self._shell.find(platform)
        return Pin(
            package="ziglang",
            recipe=_RECIPE,
            versions={"zig": self._version(ref), "busybox": shell.version},
            contents={"busybox": shell.sha256},
            origins={"zig": "ziglang wheel", "busybox": shell.origin},
            evidence=shell.evidence,
            env=(f"PATH=/{_PLACE}:{DEFAULT_PATH}",),
        )

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Make the root filesystem."""
        make_skeleton(into)
        self._shell.install(into, recipe["contents"]["busybox"], machines.platform())
        with room(self._scratch) as own:
            wheel = self._wheels.download(recipe["versions"]["zig"], own)
            self._wheels.unpack(wheel, own, _INSIDE)
            wheel.unlink()
            self._lay(own / _INSIDE, into / _PLACE, wheel.name)
        settle(into)

    def _lay(self, unpacked: Path, into: Path, wheel: str) -> None:
        if not (unpacked / "zig").is_file() or not (unpacked / "lib").is_dir():
            raise ImageError(f"{wheel} has no Zig in it")
        kept = {"zig", "lib", "LICENSE"}.__contains__
        copy_tree(unpacked, into, kept, lambda path: 0o755 if path == "zig" else 0o644)

    def _version(self, ref: Reference) -> str:
        if _EXACT.fullmatch(ref.tag):
            return ref.tag
        if ref.tag != "latest" and not _PREFIX.fullmatch(ref.tag):
            raise ImageError(f"image {ref}: {ref.tag!r} is no version of Zig; use ziglang:0.15.2")
        known = [version for version in self._wheels.versions() if _EXACT.fullmatch(version)]
        plain = [version for version in known if "post" not in version]
        found = newest(plain, "" if ref.tag == "latest" else ref.tag)
        if found is None:
            raise ImageError(f"image {ref}: no release of Zig matches {ref.tag!r}: {known}")
        return found
