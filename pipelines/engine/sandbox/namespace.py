"""The session's own mount namespace, entered by the process itself before any thread exists.

As root the process unshares a mount namespace. Otherwise it unshares a user namespace
together with a mount namespace and becomes root in it, so everything after `enter` is written
for root. There are two ways to fill the id maps:

    ranges    the ids of /etc/subuid and /etc/subgid, written by the set-uid programs
              newuidmap and newgidmap: 65,536 users, as in any container
    single    the process's own id alone, which needs nothing but the kernel

newuidmap looks at the *parent* side of the namespace, so it must run outside of it: a child
is forked first, waits on a pipe until the parent has unshared, then starts the two programs.
All mounts made later die with the last process of the namespace.
"""

import ctypes
import os
import pwd
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipelines.engine.errors import SandboxError

__all__ = ["Mode", "Range", "enter", "extents", "subordinate"]

Mode = Literal["root", "ranges", "single"]

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_REC = 0x4000
_MS_SLAVE = 1 << 19
_CAP_SYS_ADMIN = 21
_SUFFICIENT = 65536

_HINT = (
    "allow unprivileged user namespaces (as root: `sysctl -w user.max_user_namespaces=65536`; "
    "on Debian kernels also `sysctl -w kernel.unprivileged_userns_clone=1`; on Ubuntu 23.10 and "
    "later also `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; in a container, one "
    "started with --privileged or a seccomp profile that allows unshare), run as root, "
    "or use the Dagger engine: --engine dagger"
)


@dataclass(frozen=True, slots=True)
class Range:
    """`count` ids from `start` on, outside of the namespace."""

    start: int
    count: int


def enter() -> Mode:
    """Move this process into a mount namespace of its own, as root of it.

    Call it once, before any thread is started; after an error the process is of no more use.

    Raises:
        SandboxError: the kernel or its configuration does not allow it; says what to enable.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    mode: Mode
    if os.geteuid() == 0 and _may_administer():
        _check(libc.unshare(_CLONE_NEWNS), "unshare(CLONE_NEWNS)")
        mode = "root"
    else:
        mode = _enter_user_namespace(libc)
    _check(libc.mount(None, b"/", None, _MS_REC | _MS_SLAVE, None), "mounting / as a slave")
    if mode != "single":  # a single-id namespace has setgroups denied
        os.setgroups([])
    return mode


def _enter_user_namespace(libc: ctypes.CDLL) -> Mode:
    uid, gid = os.geteuid(), os.getegid()
    plan = _plan(uid)
    mode: Mode = "single"
    if plan is None:
        _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare(CLONE_NEWUSER)")
        _map_single(uid, gid)
    else:
        mapper = _Mapper(*plan)
        _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare(CLONE_NEWUSER)")
        mapper.finish()
        mode = "ranges"
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    return mode


def _plan(uid: int) -> tuple[list[str], list[str]] | None:
    """Spell the commands that write the maps, without the process id; None without ranges."""
    programs = shutil.which("newuidmap"), shutil.which("newgidmap")
    name = _name(uid)
    uids, gids = _ranges("/etc/subuid", name, uid), _ranges("/etc/subgid", name, uid)
    if programs[0] is None or programs[1] is None or not uids or not gids:
        return None
    return [programs[0], *_spell(uid, uids)], [programs[1], *_spell(os.getegid(), gids)]


def _spell(own: int, ranges: Iterable[Range]) -> list[str]:
    words, inside = ["0", str(own), "1"], 1
    for part in ranges:
        words += [str(inside), str(part.start), str(part.count)]
        inside += part.count
    return words


def subordinate(text: str, name: str, uid: int) -> list[Range]:
    """Read a user's ranges from the contents of /etc/subuid or /etc/subgid."""
    found: list[Range] = []
    for line in text.splitlines():
        owner, _, rest = line.strip().partition(":")
        start, _, count = rest.partition(":")
        if owner in {name, str(uid)} and start.isdigit() and count.isdigit() and int(count):
            found.append(Range(int(start), int(count)))
    return found


def extents(text: str) -> str:
    """Turn the contents of a uid_map into an identity map of the ids that it maps."""
    starts = [line.split() for line in text.splitlines()]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in starts)


def _ranges(path: str, name: str, uid: int) -> list[Range]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return subordinate(file.read(), name, uid)
    except OSError:
        return []


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _map_single(uid: int, gid: int) -> None:
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    except OSError as exc:
        raise SandboxError(
            f"mapping user {uid} in a new user namespace: {exc.strerror} on {exc.filename}; {_HINT}"
        ) from exc


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class _Mapper:
    """A child outside of the namespace that runs newuidmap and newgidmap when told to."""

    def __init__(self, uids: list[str], gids: list[str]) -> None:
        parent = os.getpid()
        go_read, self._go = os.pipe()
        self._said, said_write = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._go)
            _map_ranges(go_read, said_write, parent, (uids, gids))
        os.close(go_read)
        os.close(said_write)

    def finish(self) -> None:
        """Let the child write the maps and wait until they are written."""
        os.write(self._go, b"1")
        os.close(self._go)
        with open(self._said, "rb") as file:
            said = file.read().decode(errors="replace").strip()
        _, status = os.waitpid(self._child, 0)
        if status:
            raise SandboxError(
                f"writing the id maps of the session's user namespace: {said or 'it failed'}; "
                "check this user's lines in /etc/subuid and /etc/subgid and that newuidmap and "
                "newgidmap are set-uid root (package uidmap), or remove the lines "
                "to run with a single id"
            )


def _map_ranges(
    go: int, said: int, parent: int, commands: tuple[list[str], list[str]]
) -> None:  # pragma: no cover - runs in a forked child
    """Wait for the parent, run both programs, and exit: never returns."""
    status = 1
    try:
        os.dup2(said, 2)
        if os.read(go, 1):
            started = [
                os.spawnv(os.P_NOWAIT, program, [program, str(parent), *words])  # noqa: S606
                for program, *words in commands
            ]
            status = max(os.waitpid(child, 0)[1] for child in started)
    finally:
        os._exit(status and 1)


def _may_administer(status: str | None = None) -> bool:
    """Tell whether this process has CAP_SYS_ADMIN."""
    if status is None:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            status = file.read()
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    return False


def _check(result: int, what: str) -> None:
    if result == 0:
        return
    code = ctypes.get_errno()
    raise SandboxError(
        f"entering the session's namespace: {what} as user {os.geteuid()}: "
        f"{os.strerror(code)}; {_HINT}"
    )
