"""A guarded directory of the host: nothing that is done to images and paths may touch it."""

import hashlib
import os
from pathlib import Path

__all__ = ["SECRET", "Guard"]

SECRET = "what the host keeps to itself"


class Guard:
    """Knows every inode, mode, time and byte of a directory as it was."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dir/below").mkdir(parents=True)
        for name in ("canary", "dir/canary", "dir/below/canary"):
            (root / name).write_text(SECRET)
        (root / "canary").chmod(0o640)
        (root / "link").symlink_to("canary")
        (root / "passwd").write_text("guarded:x:4321:4321::/:/bin/sh\n")
        (root / "group").write_text("guarded:x:4321:\n")
        self.was = self.manifest()

    def __str__(self) -> str:
        return str(self.root)

    def manifest(self) -> dict[str, tuple[object, ...]]:
        """Describe everything; access times are the only thing that looking changes."""
        found: dict[str, tuple[object, ...]] = {".": _row(str(self.root))}
        for above, directories, files in os.walk(self.root):
            for name in directories + files:
                path = os.path.join(above, name)
                found[os.path.relpath(path, self.root)] = _row(path)
        return found

    def check(self) -> None:
        """Fail if anything is not as it was."""
        assert self.manifest() == self.was, "the guarded directory was touched"


def _row(path: str) -> tuple[object, ...]:
    status = os.lstat(path)
    content = os.readlink(path) if os.path.islink(path) else ""
    if os.path.isfile(path) and not os.path.islink(path):
        content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return (
        *(status.st_mode, status.st_ino, status.st_nlink, status.st_uid, status.st_gid),
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns, content),
    )
