"""User namespaces for commands that do not run as root.

bwrap has no way to change to another id late: it maps one id, or joins a namespace that it is
given. So one is made for every user that is needed: *owned* by that user, which lets a bwrap
that runs as the user join it with all capabilities (and so reach mount sources below
directories that the user may not enter), and with every id of the session mapped to itself,
which lets files keep their owners. bwrap drops the capabilities before it starts the command.
"""

import ctypes
import os
import warnings

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.namespace import Mode, extents

__all__ = ["UserNamespaces"]

_CLONE_NEWUSER = 0x10000000
_PR_SET_DUMPABLE = 4


class UserNamespaces:
    """Makes and keeps one user namespace a user; the descriptors live until `close`."""

    def __init__(self, mode: Mode) -> None:
        self._mode: Mode = mode
        self._known: dict[int, int] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)

    def descriptor(self, uid: int) -> int | None:
        """Give the namespace to start a user's commands in; root needs none.

        Raises:
            SandboxError: this session has a single id, or the kernel refuses.
        """
        if uid == 0:
            return None
        if self._mode == "single":
            raise SandboxError(
                f"running a command as user {uid}: this session has a single user id, root; "
                "install the package uidmap (newuidmap, newgidmap) and give the user who runs "
                "pipelines a range in /etc/subuid and /etc/subgid "
                "(`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME`), "
                "or remove the user from the container (`with_user`)"
            )
        if uid not in self._known:
            self._known[uid] = self._make(uid)
        return self._known[uid]

    def close(self) -> None:
        """Close all descriptors."""
        for fd in self._known.values():
            os.close(fd)
        self._known.clear()

    def _make(self, uid: int) -> int:
        ready, wait = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            # Python >= 3.12 warns of forks beside threads; the child only makes system calls.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _own_namespace(self._libc, uid, ready[1], (wait[0], wait[1]))
        os.close(ready[1])
        os.close(wait[0])
        try:
            code = os.read(ready[0], 8)
            if code != b"0":
                reason = os.strerror(int(code or b"5"))
                raise SandboxError(f"making a user namespace for user {uid}: {reason}")
            return _map(child, uid)
        finally:
            os.close(ready[0])
            os.close(wait[1])
            os.waitpid(child, 0)


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


def _own_namespace(
    libc: ctypes.CDLL, uid: int, ready: int, wait: tuple[int, int]
) -> None:  # pragma: no cover - runs in a forked child
    """Become the user, make a namespace, and wait until it was opened: never returns."""
    try:
        os.close(wait[1])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        # Without it /proc/<pid> belongs to root of the outermost namespace.
        libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        failed = libc.unshare(_CLONE_NEWUSER)
        os.write(ready, str(ctypes.get_errno() if failed else 0).encode())
        os.read(wait[0], 1)
    except OSError as exc:
        os.write(ready, str(exc.errno).encode())
    finally:
        os._exit(0)
