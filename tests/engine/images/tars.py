"""Build archives for tests, entry by entry, with the standard library's writer."""

import io
import os
import stat
import tarfile
from pathlib import Path

FILE, DIR, LINK, HARD, FIFO, CHAR = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
)


def entry(name, content=b"", kind=FILE, target="", mode=None, **fields):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.mode = mode if mode is not None else (0o755 if kind == DIR else 0o644)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(*entries, form=tarfile.PAX_FORMAT):
    """An archive of entries; a string is a file of that name with its name as content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for each in entries:
            info, content = entry(each, each.encode()) if isinstance(each, str) else each
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def shown(root: Path) -> dict[str, str]:
    """What is on disk: kind and content or target of every path."""
    found = {}
    for above, directories, files in os.walk(root):
        for name in directories + files:
            path = Path(above, name)
            status = path.lstat()
            key = str(path.relative_to(root))
            if stat.S_ISLNK(status.st_mode):
                found[key] = "-> " + os.readlink(path)
            elif stat.S_ISDIR(status.st_mode):
                opaque = "user.overlay.opaque" in os.listxattr(path)
                found[key] = "opaque" if opaque else "dir"
            elif stat.S_ISCHR(status.st_mode):
                found[key] = "whiteout" if status.st_rdev == 0 else "device"
            elif stat.S_ISFIFO(status.st_mode):
                found[key] = "fifo"
            else:
                found[key] = path.read_text(errors="replace")
    return found
