"""Get one package of the distribution through the host's apt, without being root."""

import os
from pathlib import Path

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.programs import Programs

__all__ = ["download"]


def download(programs: Programs, package: str, into: Path, architecture: str = "") -> Path:
    """Download a package file into a directory of the caller.

    Where the host has no package lists (or old ones, or for another architecture, which is named
    as Debian does), they are fetched into a private directory.

    Raises:
        ImageError: there is no apt, or it can not get the package.
    """
    apt = programs.find("apt-get")
    if apt is None:
        raise ImageError(
            "a static busybox is needed and this host has none and no apt-get to get one; "
            "install busybox-static (Debian, Ubuntu), busybox (Alpine, Fedora)"
        )
    purpose = f"downloading the package {package}"
    # apt drops to another user where it can, who may not write in a private directory.
    plain = [apt, "-q", "-o", "APT::Sandbox::User=" + ("root" if os.geteuid() == 0 else "")]
    if architecture:
        purpose = f"{purpose} for {architecture}"
        for name in ("APT::Architecture", "APT::Architectures"):
            plain += ["-o", f"{name}={architecture}"]
        plain += ["-o", "Dir::State::Status=/dev/null"]
    if architecture or not _downloaded(programs, [*plain, "download", package], into):
        _privately(programs, plain, package, purpose, into)
    found = sorted(into.glob(f"{package}_*.deb"))
    if not found:
        raise ImageError(f"{purpose}: apt-get ended well and left no package file")
    return found[0]


def _downloaded(programs: Programs, command: list[str], into: Path) -> bool:
    try:
        programs.run(command, "downloading a package", cwd=into)
    except ImageError:
        return False
    return True


def _privately(
    programs: Programs, plain: list[str], package: str, purpose: str, into: Path
) -> None:
    """Download with package lists of our own."""
    lists = into / "lists"
    (lists / "partial").mkdir(parents=True)
    private = [*plain, "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={into}"]
    programs.run([*private, "update"], "fetching the package lists")
    programs.run([*private, "download", package], purpose, cwd=into)
