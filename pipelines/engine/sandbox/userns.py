"""User namespaces for commands that do not run as root, or not on this machine's processor.

bwrap has no way to change to another id late: it maps one id, or joins a namespace that it is
given. So one is made for every user that is needed: *owned* by that user, which lets a bwrap
that runs as the user join it with all capabilities (and so reach mount sources below
directories that the user may not enter), and with every id of the session mapped to itself,
which lets files keep their owners. bwrap drops the capabilities before it starts the command.

Since Linux 6.7 a user namespace may have a binfmt_misc of its own, which counts for what is
executed in it. So a command that needs an emulator gets a namespace, root too, in which that
emulator is registered, and the host's table stays as it is. The registration lives as long as
the file system does, which is held here by a descriptor; the mount itself is nowhere to be
seen, because the namespace that it was made in is gone.
"""

import ctypes
import errno
import os
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.namespace import Mode, extents

if TYPE_CHECKING:
    from pipelines.engine.sandbox.emulation import Rule

__all__ = ["UserNamespaces"]

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_PR_SET_DUMPABLE = 4
_SAID = 3
_TOP = "/proc"  # any directory would do: the mount is seen by one process for a moment


@dataclass(frozen=True, slots=True)
class _Made:
    """A namespace, and what holds its binfmt_misc, if it has one."""

    namespace: int
    table: int | None = None


class UserNamespaces:
    """Makes and keeps one user namespace a user and emulator, until `close`."""

    def __init__(self, mode: Mode) -> None:
        self._mode: Mode = mode
        self._known: dict[tuple[int, str], _Made] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)

    def descriptor(self, uid: int, rule: "Rule | None" = None) -> int | None:
        """Give the namespace to start a user's commands in; plain root needs none.

        Raises:
            SandboxError: this session has a single id, or the kernel refuses.
        """
        if uid == 0 and rule is None:
            return None
        if uid != 0 and self._mode == "single":
            raise SandboxError(
                f"running a command as user {uid}: this session has a single user id, root; "
                "install the package uidmap (newuidmap, newgidmap) and give the user who runs "
                "pipelines a range in /etc/subuid and /etc/subgid "
                "(`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME`), "
                "or remove the user from the container (`with_user`)"
            )
        key = (uid, rule.machine if rule else "")
        if key not in self._known:
            self._known[key] = self._make(uid, rule)
        return self._known[key].namespace

    def close(self) -> None:
        """Close all descriptors."""
        for made in self._known.values():
            os.close(made.namespace)
            if made.table is not None:
                os.close(made.table)
        self._known.clear()

    def _make(self, uid: int, rule: "Rule | None") -> _Made:
        ready, wait = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            # Python >= 3.12 warns of forks beside threads; the child only makes system calls.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _own_namespace(self._libc, uid, rule, ready[1], (wait[0], wait[1]))
        os.close(ready[1])
        os.close(wait[0])
        try:
            if code := _heard(ready[0]):
                reason = os.strerror(code)
                raise SandboxError(f"making a user namespace for user {uid}: {reason}")
            made = _Made(_map(child, uid))
            if rule is None:
                return made
            try:
                os.write(wait[1], b"1")
                return replace(made, table=_table(child, _heard(ready[0]), rule))
            except BaseException:
                os.close(made.namespace)
                raise
        finally:
            os.close(ready[0])
            os.close(wait[1])
            os.waitpid(child, 0)


def _heard(ready: int) -> int:
    """Read the errno that the child says, 0 if all is well."""
    said = os.read(ready, _SAID)
    return int(said) if len(said) == _SAID else errno.EIO


def _map(child: int, uid: int) -> int:
    """Map every id of this process's namespace to itself in the child's, and open that."""
    try:
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/self/{name}", encoding="ascii") as file:
                text = extents(file.read())
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise SandboxError(
            f"mapping ids in a user namespace for user {uid}: {exc.strerror} on {exc.filename}"
        ) from exc


def _table(child: int, code: int, rule: "Rule") -> int:
    """Hold on to the file system in which the child has registered an emulator."""
    if code:
        raise SandboxError(
            f"registering an emulator for {rule.machine} in a user namespace: "
            f"{os.strerror(code)}; that takes Linux 6.7 with binfmt_misc: have the host register "
            "the emulator instead (Debian: install qemu-user-static and binfmt-support), or use a "
            "Dagger engine that does: --engine dagger"
        )
    return os.open(f"/proc/{child}/cwd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _own_namespace(
    libc: ctypes.CDLL, uid: int, rule: "Rule | None", ready: int, wait: tuple[int, int]
) -> None:  # pragma: no cover - runs in a forked child
    """Become the user, make a namespace, and wait until it was opened: never returns."""
    try:
        os.close(wait[1])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        # Without it /proc/<pid> belongs to root of the outermost namespace.
        libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        _say(ready, ctypes.get_errno() if libc.unshare(_CLONE_NEWUSER) else 0)
        if os.read(wait[0], 1) and rule is not None:
            _say(ready, _register(libc, rule))
            os.read(wait[0], 1)
    except OSError as exc:
        _say(ready, exc.errno or errno.EIO)
    finally:
        os._exit(0)


def _say(ready: int, code: int) -> None:  # pragma: no cover - runs in a forked child
    os.write(ready, f"{code:0{_SAID}}".encode())


def _register(libc: ctypes.CDLL, rule: "Rule") -> int:  # pragma: no cover - runs in a forked child
    """Mount the namespace's own binfmt_misc, write the rule, and stay in it; an errno."""
    if libc.unshare(_CLONE_NEWNS):
        return ctypes.get_errno()
    if libc.mount(b"binfmt_misc", _TOP.encode(), b"binfmt_misc", 0, None):
        return ctypes.get_errno()
    os.chdir(_TOP)
    with open("register", "wb", buffering=0) as file:
        file.write(rule.text)
    return 0
