"""A look at the machine: would a session start here, and what is missing for what.

Everything is tried, not derived from versions: the namespace and overlayfs in a child process,
programs by looking for them. What is missing is told with what does not work without it.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import EngineError, SandboxError
from pipelines.engine.sandbox import binary
from pipelines.engine.sandbox.emulation import MACHINES, emulator
from pipelines.engine.sandbox.namespace import enter
from pipelines.engine.sandbox.probe import program, switches, tried
from pipelines.engine.snapshots.probe import overlay_flags
from pipelines.engine.store.layout import Layout, default_root
from pipelines.engine.store.leases import Lease

__all__ = ["Check", "Need", "look", "remedy", "searched"]

_SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"  # not in an ordinary user's PATH
_ROOM, _INODES = 5 << 30, 100_000


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    `needed` means that no session starts without it; `without` says what else does not work,
    `package` which package brings it (by Debian's name), `fix` what to do if it is not one.
    """

    name: str
    ok: bool
    seen: str
    needed: bool = False
    without: str = ""
    package: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """Programs of which one is enough, and what is missing without any."""

    programs: tuple[str, ...]
    without: str
    package: str


NEEDS = (
    Need(("git",), "git sources (`git(url)`, `Directory.asGit`)", "git"),
    Need(("ssh",), "git over ssh", "openssh-client"),
    Need(
        ("slirp4netns",),
        "private networks (commands and services share the machine's)",
        "slirp4netns",
    ),
    Need(
        ("mmdebstrap",),
        "the package images debian, python, node and golang:<version>-bookworm",
        "mmdebstrap",
    ),
)

_NAMES: Mapping[str, Mapping[str, str]] = {
    "apt-get install -y": {},
    "dnf install -y": {"uidmap": "shadow-utils", "openssh-client": "openssh-clients"},
    "apk add": {"uidmap": "shadow-uidmap", "openssh-client": "openssh-client-default"},
    "pacman -S --noconfirm": {"uidmap": "shadow", "openssh-client": "openssh"},
}


def look(environ: Mapping[str, str], start: Callable[[], str] = enter) -> list[Check]:
    """Check the machine, what is needed first; `start` enters a session's namespace."""
    path = searched(environ)
    root = default_root(environ)
    return [
        *_session(root, start),
        *_room(root),
        *(_program(need, path) for need in NEEDS),
        _emulators(path),
    ]


def searched(environ: Mapping[str, str]) -> str:
    """Give the PATH that is searched for programs."""
    return f"{environ.get('PATH', os.defpath)}:{_SYSTEM}"


def remedy(checks: Iterable[Check], path: str) -> str:
    """Give the one command that installs all that is missing; "" if nothing is, or none known."""
    wanted = sorted({check.package for check in checks if not check.ok and check.package})
    if not wanted:
        return ""
    for command, names in _NAMES.items():
        if shutil.which(command.split()[0], path=path):
            sudo = "" if os.geteuid() == 0 else "sudo "
            return f"{sudo}{command} {' '.join(names.get(name, name) for name in wanted)}"
    return f"install {', '.join(wanted)} (the names are Debian's)"


def _session(root: Path, start: Callable[[], str]) -> Iterator[Check]:
    """Try what a session does first: its namespace, its file system, its sandbox."""

    def attempt() -> str:
        mode = start()
        return json.dumps([mode, _overlay(root)])

    ok, said = tried(attempt)
    mode, overlay = json.loads(said) if ok else ("", "")
    yield Check("session namespace", ok, mode or said, needed=True)
    if not ok:
        settings = (finding for finding in switches("/proc") if not finding.ok)
        yield from (Check(one.name, one.ok, one.seen, fix=one.remedy) for one in settings)
    if mode == "single":
        yield Check(
            "user ids",
            ok=False,
            seen="one: no range for this user in /etc/subuid, or no newuidmap",
            without="commands as other users than root; changes of owner do nothing",
            package="uidmap",
        )
    if ok:
        without = "fast snapshots: files are copied instead"
        yield Check("overlayfs", not overlay, overlay or "works", without=without)
    found = program(binary.find)
    yield Check(found.name, found.ok, found.seen, needed=True, package="bubblewrap")


def _overlay(root: Path) -> str:
    """Try overlayfs below the store; "" if it works, else why not."""
    try:
        lease = Lease.take(Layout.open(root))
        try:
            return overlay_flags(lease.path)[1]
        finally:
            lease.release()
    except (OSError, EngineError) as exc:
        return str(exc)


def _room(root: Path) -> Iterator[Check]:
    """Look at the disk that the store is on."""
    try:
        found = os.statvfs(root)
    except OSError as exc:
        fix = "name a directory that can be written to in XDG_CACHE_HOME"
        yield Check("store", ok=False, seen=f"{root}: {exc.strerror}", needed=True, fix=fix)
        return
    space, inodes = found.f_bavail * found.f_frsize, found.f_favail
    ok = space > _ROOM and (inodes > _INODES or found.f_files == 0)  # btrfs counts no inodes
    seen = f"{root}: {space / (1 << 30):.1f} GiB and {inodes} inodes free"
    yield Check("store", ok, seen, fix="" if ok else "pipelines cache prune --older-than 7d")


def _program(need: Need, path: str) -> Check:
    places = (shutil.which(name, path=path) for name in need.programs)
    found = next(filter(None, places), "")
    name = " or ".join(need.programs)
    return Check(name, bool(found), found or "not found", False, need.without, need.package)


def _emulators(path: str) -> Check:
    """Tell which other architectures' programs run here."""
    runs, missing = [], []
    for name in MACHINES:
        try:
            emulator(f"linux/{name}", path)
        except SandboxError:
            missing.append(name)
        else:
            runs.append(name)
    seen = f"runs {', '.join(runs)}" if runs else "runs this machine's programs only"
    without = f"commands of {', '.join(missing)}" if missing else ""
    return Check("other platforms", not missing, seen, False, without, "qemu-user-static")
