"""`busybox`: a static shell and its applets, as an image and as a part of others.

The binary is the host's if that is static, else the distribution package `busybox-static`,
downloaded and unpacked here (no root needed). Its digest is part of every recipe that has it.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.engine import machines
from pipelines.engine.errors import ImageError
from pipelines.engine.images.info import Evidence
from pipelines.engine.images.packages.apt import download
from pipelines.engine.images.packages.base import (
    DEFAULT_PATH,
    Pin,
    made_for,
    stated,
)
from pipelines.engine.images.packages.copying import copy_file
from pipelines.engine.images.packages.deb import debian_architecture, extract_file
from pipelines.engine.images.packages.elf import is_static
from pipelines.engine.images.packages.programs import Programs, evidence
from pipelines.engine.images.packages.room import room
from pipelines.engine.images.packages.skeleton import make_skeleton, settle
from pipelines.engine.images.reference import Reference

__all__ = ["Busybox", "Shell"]

_RECIPE = 1
_BANNER = re.compile(rb"BusyBox v(\d+\.\d+\.\d+)")
_FIRST = b"\0[\0[[\0"  # how the list of applets begins: it is sorted


@dataclass(frozen=True, slots=True)
class Found:
    """A static busybox: its version, digest and where it came from."""

    version: str
    sha256: str
    origin: str
    evidence: tuple[Evidence, ...]


class Shell:
    """Finds a static busybox and installs it; `cache` keeps what was downloaded."""

    def __init__(self, programs: Programs, cache: Path) -> None:
        self._programs = programs
        self._cache = cache

    def find(self, platform: str) -> Found:
        """Choose the binary for a platform.

        Raises:
            ImageError: there is none and none can be had; says what to install.
        """
        with self._binary(platform) as (path, origin):
            content = Path(path).read_bytes()
            banner = _BANNER.search(content)
            proof = (evidence(path),) if origin == "host" else ()
            version = banner[1].decode() if banner else "unknown"
            return Found(version, hashlib.sha256(content).hexdigest(), origin, proof)

    def install(self, into: Path, sha256: str, platform: str) -> None:
        """Put the binary with this digest and links for its applets below `into`.

        Raises:
            ImageError: this machine has another one now.
        """
        with self._binary(platform) as (path, _):
            target = into / "bin/busybox"
            copy_file(path, os.fspath(target), 0o755)
            if hashlib.sha256(target.read_bytes()).hexdigest() != sha256:
                raise ImageError(
                    "the static busybox of this machine is not the one that the image was "
                    "pinned with; run again to pin it anew"
                )
            listed = self._applets(path, platform)
        for applet in listed:
            link = into / "bin" / applet
            if (
                re.fullmatch(r"[\w.\[\]-]+", applet)
                and not link.is_symlink()
                and applet != "busybox"
            ):
                link.symlink_to("busybox")
        os.utime(into / "bin", (0, 0))

    def _applets(self, path: str, platform: str) -> list[str]:
        """Ask the binary for its applets, or read them if it is not this machine's."""
        if platform == machines.platform():
            return self._programs.run([path, "--list"], "listing the applets of busybox").split()
        return applets(Path(path).read_bytes())

    @contextmanager
    def _binary(self, platform: str) -> Iterator[tuple[str, str]]:
        if platform != machines.platform():
            kept = self._cache / platform.replace("/", "-") / "busybox"
            if not kept.exists():
                self._download(kept, debian_architecture(platform))
            yield os.fspath(kept), "apt"
            return
        found = self._programs.find("busybox")
        if found is not None and is_static(found):
            yield os.path.realpath(found), "host"
            return
        kept = self._cache / "busybox"
        if not kept.exists():
            self._download(kept)
        yield os.fspath(kept), "apt"

    def _download(self, kept: Path, architecture: str = "") -> None:
        with room(kept.parent) as own:
            package = download(self._programs, "busybox-static", own, architecture)
            new = own / "busybox"
            new.write_bytes(extract_file(package, ("bin/busybox", "usr/bin/busybox")))
            new.chmod(0o755)
            if not is_static(os.fspath(new)):
                raise ImageError("the package busybox-static has no static busybox in it")
            new.rename(kept)


def applets(binary: bytes) -> list[str]:
    """Read the names of the applets out of a binary: they stand in it one after the other.

    Raises:
        ImageError: there is no such list.
    """
    start = binary.find(_FIRST)
    end = binary.find(b"\0\0", start + 1)
    if start < 0 or end < 0:
        raise ImageError("the static busybox for another machine has no list of its applets")
    return binary[start + 1 : end].decode("ascii", "replace").split("\0")


class Busybox:
    """The images `busybox` and `busybox:<version>`."""

    names = ("busybox",)
    foreign = True
    kinds = ("busybox",)

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def example(self) -> str:
        """Show what can be asked for."""
        return "busybox"

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide which busybox; a version in the tag must be the one that is had."""
        found = self._shell.find(platform)
        wanted = ref.tag.removesuffix("-musl").removesuffix("-glibc")
        if wanted not in {"latest", "stable"} and not f"{found.version}.".startswith(f"{wanted}."):
            raise ImageError(
                f"image {ref}: the static busybox to be had here is {found.version}; "
                f"use busybox or busybox:{found.version}"
            )
        return Pin(
            package="busybox",
            recipe=_RECIPE,
            versions={"busybox": found.version} | stated(platform),
            contents={"busybox": found.sha256},
            origins={"busybox": found.origin},
            evidence=found.evidence,
            env=(f"PATH={DEFAULT_PATH}",),
        )

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Make the root filesystem."""
        make_skeleton(into)
        self._shell.install(into, recipe["contents"]["busybox"], made_for(recipe))
        settle(into)
