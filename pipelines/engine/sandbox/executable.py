"""Why a file of a container can not be executed: looked at only after it has failed.

Paths are resolved by the kernel inside the root (openat2, RESOLVE_IN_ROOT), never by the
host's rules: what an image names may be a link to anywhere.
"""

import ctypes
import os
import struct
from collections.abc import Iterator

from pipelines.engine.sandbox.base import Spec

__all__ = ["foreign", "is_static", "missing_interpreter"]

_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_IN_ROOT, _RESOLVE_NO_MAGICLINKS = 0x10, 0x02
_HEAD = 4096
_PT_INTERP = 3

# ELF's e_machine: the name, and the machines (`os.uname().machine`) that run it natively.
_MACHINES = {
    3: ("386", ("i686", "x86_64")),
    21: ("ppc64le", ("ppc64le",)),
    22: ("s390x", ("s390x",)),
    40: ("arm", ("armv7l", "aarch64")),
    62: ("amd64", ("x86_64",)),
    183: ("arm64", ("aarch64",)),
    243: ("riscv64", ("riscv64",)),
}


def foreign(spec: Spec, machine: str) -> str:
    """Name the architecture that the command is built for; "" if it is this machine's."""
    head = _head(spec)
    if not head.startswith(b"\x7fELF") or len(head) < 20:  # noqa: PLR2004
        return ""
    number = struct.unpack_from("<H", head, 18)[0]
    name, hosts = _MACHINES.get(number, (f"machine {number}", ()))
    return "" if machine in hosts else name


def missing_interpreter(spec: Spec) -> str:
    """Name the loader or script interpreter that the command needs and the root lacks."""
    head = _head(spec)
    name = _script(head) if head.startswith(b"#!") else _loader(head)
    if not name:
        return ""
    fd = _open(spec.root, name)
    if fd is None:
        return name
    os.close(fd)
    return ""


def is_static(path: str) -> bool:
    """Tell whether a program of the host needs no loader, so that it runs in any root."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b"\x7fELF") and not _loader(head)


def _head(spec: Spec) -> bytes:
    for path in _candidates(spec):
        fd = _open(spec.root, path)
        if fd is not None:
            with open(fd, "rb") as file:
                return file.read(_HEAD)
    return b""


def _candidates(spec: Spec) -> Iterator[str]:
    name = spec.args[0]
    if "/" in name:
        yield os.path.join(spec.cwd, name)
        return
    for directory in spec.env.get("PATH", "/bin:/usr/bin").split(":"):
        yield os.path.join(spec.cwd, directory, name)


def _open(root: str, path: str) -> int | None:
    """Open a regular file inside a root; None if there is none."""
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        how = struct.pack("=QQQ", flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
        libc = ctypes.CDLL(None)
        fd: int = libc.syscall(_OPENAT2, top, os.fsencode(path), how, len(how))
    finally:
        os.close(top)
    if fd < 0:
        return None
    if os.path.isfile(f"/proc/self/fd/{fd}"):
        return fd
    os.close(fd)
    return None


def _script(head: bytes) -> str:
    words = head[2:].split(b"\n", 1)[0].split()
    return os.fsdecode(words[0]) if words else ""


def _loader(head: bytes) -> str:
    """Read PT_INTERP of a 64-bit little-endian ELF file."""
    if not head.startswith(b"\x7fELF\x02\x01") or len(head) < 64:  # noqa: PLR2004
        return ""
    start, size, count = struct.unpack_from("<Q14xHH", head, 32)
    for at in range(start, start + size * count, size):
        if at + 56 > len(head):
            break
        kind, offset, length = struct.unpack_from("<I4xQ16xQ", head, at)
        if kind == _PT_INTERP:
            return os.fsdecode(head[offset : offset + length].rstrip(b"\0"))
    return ""
