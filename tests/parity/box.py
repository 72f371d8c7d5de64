"""The input that both engines share: a root filesystem made of one static busybox."""

import shutil
import subprocess
from pathlib import Path

__all__ = ["busybox", "fill"]


def busybox() -> str | None:
    """Find a statically linked busybox on this machine."""
    found = shutil.which("busybox")
    if found is None:
        return None
    linked = subprocess.run(["ldd", found], capture_output=True, check=False)
    return None if linked.returncode == 0 else found


def fill(root: Path, program: str) -> None:
    """Lay out a root filesystem with every applet, two users, and places to write."""
    for name in ("bin", "etc", "root", "tmp", "usr/bin"):
        (root / name).mkdir(parents=True)
    shutil.copyfile(program, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    for applet in set(listed.stdout.split()) - {"busybox"}:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nbob:x:77:88::/home/bob:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nbobs:x:88:\nstaff:x:99:bob\n")
