"""The system calls that Python does not wrap: mounting, and opening a path inside a root.

Numbers of calls since Linux 5.1 are the same on every architecture that Python runs on
(alpha apart). Everything here raises plain `OSError`; callers know what was attempted.
"""

import ctypes
import os
from collections.abc import Iterable

__all__ = ["MNT_DETACH", "MS_NODEV", "MS_RDONLY", "mount", "mount_by_calls", "openat2", "umount"]

MS_RDONLY = 1
MS_NODEV = 4
MNT_DETACH = 2

_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _OPENAT2 = 429, 430, 431, 432, 437
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_FROM_EMPTY_PATH = 4
_CLOEXEC = 1
_RDONLY_ATTRIBUTE = 1
_AT_FDCWD = -100

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


def mount_by_calls(
    kind: str, target: str, flags: int, options: Iterable[tuple[str, str | None]]
) -> None:
    """Mount by fsopen, fsconfig, fsmount and move_mount: options of any total length.

    A value of None makes the option a flag. Needs Linux 5.2; `lowerdir+` needs 6.7.
    """
    context = _call(_FSOPEN, target, kind.encode(), _CLOEXEC)
    try:
        for name, value in options:
            how = _SET_FLAG if value is None else _SET_STRING
            text = None if value is None else os.fsencode(value)
            _call(_FSCONFIG, target, context, how, name.encode(), text, 0)
        _call(_FSCONFIG, target, context, _CREATE, None, None, 0)
        attributes = _RDONLY_ATTRIBUTE if flags & MS_RDONLY else 0
        tree = _call(_FSMOUNT, target, context, _CLOEXEC, attributes)
        try:
            _call(_MOVE_MOUNT, target, tree, b"", _AT_FDCWD, os.fsencode(target), _FROM_EMPTY_PATH)
        finally:
            os.close(tree)
    finally:
        os.close(context)


def openat2(directory: int, path: str, flags: int, mode: int, resolve: int) -> int:
    """Open a path below a directory under the rules of `resolve`; give the descriptor."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    return _call(
        _OPENAT2, path, directory, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)
    )


def _call(number: int, culprit: str, *arguments: object) -> int:
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *given))
    if result < 0:
        _fail(culprit)
    return result


def _fail(culprit: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), culprit)
