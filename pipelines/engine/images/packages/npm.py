"""Packages of npm, as files: fetched by the host's npm, unpacked here.

Source: npm's documentation of package tarballs: everything lies in one directory, mostly `package`.
"""

import json
import os
from pathlib import Path

from pipelines.engine.errors import ImageError
from pipelines.engine.images.compression import decompressing
from pipelines.engine.images.nodes import components
from pipelines.engine.images.packages.programs import Programs
from pipelines.engine.images.tarread import TarReader

__all__ = ["Npm"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Npm:
    """The host's npm, with its own configuration."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    @property
    def there(self) -> bool:
        """Whether the host has npm."""
        return self._programs.find("npm") is not None

    def versions(self, package: str) -> list[str]:
        """List the versions of a package.

        Raises:
            ImageError: npm is missing or fails.
        """
        said = self._run(["view", package, "versions", "--json"], f"asking npm for {package}")
        try:
            found = json.loads(said)
        except ValueError as exc:
            raise ImageError(f"npm's answer about {package} is no JSON: {said[:200]!r}") from exc
        return [found] if isinstance(found, str) else list(found)

    def fetch(self, package: str, version: str, into: Path, room: Path) -> None:
        """Unpack a package's files into a new directory.

        Raises:
            ImageError: it can not be had, or is damaged.
        """
        purpose = f"getting {package} {version} from npm"
        self._run(["pack", f"{package}@{version}", "--pack-destination", str(room)], purpose)
        packed = sorted(room.glob("*.tgz"))
        if not packed:
            raise ImageError(f"{purpose}: npm ended well and left no package")
        with packed[0].open("rb", buffering=0) as file:
            reader = TarReader(decompressing(file))
            for member in reader:
                _, *parts = components(member.name) or [b""]
                if member.kind == "file" and parts:
                    _write(into, parts, 0o755 if member.mode & 0o111 else 0o644, reader)
        packed[0].unlink()

    def _run(self, arguments: list[str], purpose: str) -> str:
        npm = self._programs.find("npm")
        if npm is None:
            raise ImageError(f"{purpose}: npm is not installed")
        # In a directory without a project, whose .npmrc would count.
        return self._programs.run([npm, *arguments], purpose, cwd=Path("/"))


def _write(into: Path, parts: list[bytes], mode: int, reader: TarReader) -> None:
    """Write a file below a directory that holds nothing but what was written here: no links."""
    target = os.path.join(os.fsencode(into), *parts)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    descriptor = os.open(target, _NEW, mode)
    try:
        os.fchmod(descriptor, mode)
        for piece in reader.content():
            left = memoryview(piece)
            while left:
                left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)
