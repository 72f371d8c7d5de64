"""Whether this kernel and this filesystem can do overlay snapshots: by trying, not by version.

What goes wrong in the field only shows in use: without `userxattr` in a user namespace the
mount succeeds and the first `rm -r` of a lower directory fails with EIO; a store that is
itself on overlayfs is refused as upper.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from pipelines.engine.snapshots import kernel
from pipelines.engine.snapshots.base import Snapshots
from pipelines.engine.snapshots.copy import Copy
from pipelines.engine.snapshots.overlay import FLAGS, Overlay, option_string
from pipelines.engine.snapshots.shelf import Shelf, clear
from pipelines.engine.snapshots.stack import is_opaque, is_whiteout

__all__ = ["choose", "overlay_flags"]

_CHOICES: tuple[tuple[str, ...], ...] = (
    FLAGS,
    ("userxattr", "volatile"),
    ("userxattr", "index=off"),
    ("userxattr",),
)


def overlay_flags(active: Path) -> tuple[tuple[str, ...], str]:
    """Give the first set of mount options that works below `active`, and "" or why none does."""
    why = ""
    shelf = Shelf(active, active)
    for flags in _CHOICES:
        home = f"{active}/{shelf.place()}"
        try:
            _try(home, flags)
        except OSError as exc:
            why = f"overlayfs is refused below {active}: {exc.strerror} ({exc.filename})"
        else:
            return flags, ""
        finally:
            clear(home)
    return (), why


def choose(root: Path, active: Path) -> tuple[Snapshots, str]:
    """Give the best snapshotter for this place, and "" or why it is not the fast one."""
    flags, why = overlay_flags(active)
    return (Overlay(root, active, flags), "") if flags else (Copy(root, active), why)


def _try(home: str, flags: Sequence[str]) -> None:
    """Delete a lower directory, make it again, delete a lower file; look at what was written."""
    low, up, work, root = (f"{home}/{name}" for name in ("low", "up", "work", "root"))
    for path in (low, f"{low}/dir", f"{low}/dir/sub", up, work, root):
        os.mkdir(path)
    Path(low, "file").touch()
    kernel.mount("overlay", root, "overlay", 0, option_string(flags, [low], up, work))
    try:
        os.rmdir(f"{root}/dir/sub")
        os.rmdir(f"{root}/dir")
        os.mkdir(f"{root}/dir")
        os.unlink(f"{root}/file")
        seen = os.listdir(f"{root}/dir")
    finally:
        kernel.umount(root, kernel.MNT_DETACH)
    if seen or not is_opaque(f"{up}/dir") or not is_whiteout(os.lstat(f"{up}/file")):
        raise OSError(0, "deleted files are not recorded as overlayfs documents it", home)
