"""The system calls that Python does not wrap: mounting, and opening a path inside a root.

The number of openat2 is the same on every architecture (alpha apart). Everything here raises
plain `OSError`; callers know what was attempted.
"""

import ctypes
import os

__all__ = ["MNT_DETACH", "MS_NODEV", "MS_RDONLY", "mount", "openat2", "umount"]

MS_RDONLY = 1
MS_NODEV = 4
MNT_DETACH = 2

_OPENAT2 = 437

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    """Mount the classic way; options are cut at a page (4095 bytes) by the kernel."""
    done = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        os.fsencode(options),
    )
    if done != 0:
        _fail(target)


def umount(target: str, flags: int = 0) -> None:
    """Unmount by umount2(2)."""
    if _libc.umount2(os.fsencode(target), flags) != 0:
        _fail(target)


def openat2(directory: int, path: str, flags: int, mode: int, resolve: int) -> int:
    """Open a path below a directory under the rules of `resolve`; give the descriptor."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    opened = _libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_long(directory),
        os.fsencode(path),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if opened < 0:
        _fail(path)
    return int(opened)


def _fail(culprit: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), culprit)
