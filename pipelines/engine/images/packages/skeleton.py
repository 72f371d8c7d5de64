"""The directories and files that every root filesystem without a distribution needs."""

import os
from pathlib import Path

from pipelines.engine.images.packages.copying import write_file

__all__ = ["make_skeleton", "settle"]

_DIRECTORIES = (
    *("bin", "dev", "etc", "etc/ssl", "etc/ssl/certs", "home", "proc", "root", "run", "sys"),
    *("usr", "usr/bin", "usr/local", "usr/local/bin", "usr/sbin", "sbin", "var", "var/log"),
)
_FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n"
    ),
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nstaff:x:50:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # The engine gives every exec its own copies of these two.
    "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
    "etc/resolv.conf": "",
    "etc/shells": "/bin/sh\n",
}


def make_skeleton(into: Path) -> None:
    """Make the standard directories and files of a root filesystem in an empty directory."""
    into.chmod(0o755)
    for name in _DIRECTORIES:
        (into / name).mkdir()
        (into / name).chmod(0o755)
    (into / "root").chmod(0o700)
    for name in ("tmp", "var/tmp"):
        (into / name).mkdir()
        (into / name).chmod(0o1777)
    (into / "var/run").symlink_to("/run")
    for name, text in _FILES.items():
        write_file(into / name, text)


def settle(into: Path) -> None:
    """Set the directories' modification times once nothing is added to them any more."""
    for name in (*_DIRECTORIES, "tmp", "var/tmp", "."):
        os.utime(into / name, (0, 0))
