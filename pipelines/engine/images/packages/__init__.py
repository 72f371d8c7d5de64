"""The package images that this version can make."""

from collections.abc import Mapping
from pathlib import Path

from pipelines.engine.images.packages.base import Packages
from pipelines.engine.images.packages.busybox import Busybox, Shell
from pipelines.engine.images.packages.golang import Golang
from pipelines.engine.images.packages.places import HostGo, ModuleGo, WheelGo
from pipelines.engine.images.packages.programs import Programs

__all__ = ["Packages", "catalog"]


def catalog(environ: Mapping[str, str], root: Path) -> Packages:
    """Wire the package images; `root` is for downloads, made when needed."""
    programs = Programs(environ)
    shell = Shell(programs, root / "busybox")
    places = (HostGo(programs), WheelGo(programs), ModuleGo(programs))
    return Packages((Golang(places, shell, root / "scratch"), Busybox(shell)))
