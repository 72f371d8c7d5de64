"""Trees on disk for tests: made from a description, and described again to be compared."""

import os
import stat
from pathlib import Path

Description = dict[bytes, tuple[object, ...]]


def describe(root: Path) -> Description:
    """Say everything of a tree that a cache has to bring back."""
    found: Description = {b"": _say(os.fsencode(root), {}, b"")}
    names: dict[int, bytes] = {}
    top = os.fsencode(root)
    for directory, below, files in os.walk(top):
        for name in sorted([*below, *files]):
            full = os.path.join(directory, name)
            path = os.path.relpath(full, top)
            found[path] = _say(full, names, path)
    return dict(sorted(found.items()))


def _say(full: bytes, names: dict[int, bytes], path: bytes) -> tuple[object, ...]:
    status = os.lstat(full)
    mode, when = stat.S_IMODE(status.st_mode), status.st_mtime_ns
    if stat.S_ISLNK(status.st_mode):
        return "link", os.readlink(full), when
    if stat.S_ISDIR(status.st_mode):
        return "dir", mode, when
    if stat.S_ISREG(status.st_mode):
        with open(full, "rb") as held:
            content = held.read()
        same = names.setdefault(status.st_ino, path)
        return "file", mode, when, content, status.st_nlink, same if status.st_nlink > 1 else None
    return "other", status.st_mode, status.st_rdev, when


def fill(root: Path, files: dict[str, bytes]) -> Path:
    """Write files."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root
