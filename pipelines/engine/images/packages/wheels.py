"""Wheels: the versions of one distribution and their files, through pip and its configuration."""

import re
import zipfile
from pathlib import Path

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.programs import Programs

__all__ = ["Wheels"]


class Wheels:
    """The wheels of one distribution; `what` says in errors what they are had for."""

    def __init__(self, programs: Programs, name: str, what: str) -> None:
        self._programs = programs
        self._name = name
        self._what = what

    def versions(self) -> list[str]:
        """Ask pip which versions there are, newest first."""
        said = self._pip(["index", "versions", self._name])
        found = re.search(r"^Available versions:(.*)$", said, re.MULTILINE)
        return [name.strip() for name in found[1].split(",")] if found else []

    def download(self, version: str, into: Path, platform: str = "") -> Path:
        """Download the wheel of a version; `platform` is a wheel's tag, by default this machine's.

        Raises:
            ImageError: pip has none, or left none.
        """
        options = ["download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "-q"]
        if platform:
            options += ["--platform", platform]
        self._pip([*options, "-d", str(into), f"{self._name}=={version}"])
        wheels = sorted(into.glob("*.whl"))
        if not wheels:
            raise ImageError(f"pip downloaded {self._name} {version} and left no wheel")
        return wheels[0]

    def unpack(self, wheel: Path, into: Path, below: str = "") -> None:
        """Unpack a wheel, or what is in one directory of it; modes are lost."""
        try:
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.startswith(below)]
                archive.extractall(into, names)  # zipfile drops drives, absolute paths and `..`
        except (zipfile.BadZipFile, OSError) as exc:
            raise ImageError(f"unpacking {wheel.name}: {exc}") from exc

    def _pip(self, arguments: list[str]) -> str:
        command = [*self._programs.pip(), "--disable-pip-version-check", *arguments]
        return self._programs.run(command, self._what)
