"""Make a fresh Debian root filesystem an image: the same bytes every time, fit for containers.

Away goes what tells of the machine and the moment (logs, caches, lists, device nodes, host
name and resolver); in comes what apt and dpkg should do in a container: keep no archives,
ask for no translations, start no daemons. A slim image loses its documentation but keeps the
directories, because maintainer scripts link into them.
"""

import errno
import os
import shutil
from pathlib import Path

from pipelines.engine.errors import ImageError, StoreFull
from pipelines.engine.images.packages.copying import write_file

__all__ = ["clamp", "tidy", "untidy"]

_EMPTIED = (
    *("dev", "proc", "run", "sys", "tmp", "var/tmp", "var/cache/apt", "var/lib/apt/lists"),
    *("var/cache/debconf", "var/log", "var/cache/ldconfig"),
)
_REMOVED = (
    *("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"),
    *("etc/hostname", "etc/resolv.conf", "etc/passwd-", "etc/group-", "etc/shadow-"),
    *("etc/gshadow-", "etc/subuid-", "etc/subgid-", "var/lib/dpkg/status-old"),
    *("var/lib/dpkg/available", "var/lib/dpkg/available-old", "var/lib/dpkg/lock"),
    *("var/lib/dpkg/lock-frontend", "var/lib/dpkg/diversions-old", "debootstrap"),
    *("var/lib/dpkg/statoverride-old", "var/lib/systemd/catalog/database", "etc/machine-id"),
    "etc/apt/sources.list",
)
_KEPT = ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt")
_DOCUMENTATION = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
_FILES = {
    "etc/apt/apt.conf.d/90container": (
        "// A session with a single id has no second user to fetch as.\n"
        'APT::Sandbox::User "root";\n'
        'APT::Keep-Downloaded-Packages "false";\n'
        'APT::AutoRemove::SuggestsImportant "false";\n'
        'Acquire::GzipIndexes "true";\n'
        'Acquire::Languages "none";\n'
        'Dir::Cache::pkgcache "";\n'
        'Dir::Cache::srcpkgcache "";\n'
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n'
    ),
    # A crash in the middle of an installation is a failed command, whose files are thrown away.
    "etc/dpkg/dpkg.cfg.d/90container": "force-unsafe-io\n",
    "etc/hostname": "localhost\n",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
}
_POLICY = "#!/bin/sh\n# No daemon is started by its package's installation.\nexit 101\n"
_SLIM = "".join(f"path-exclude=/usr/share/{name}/*\n" for name in _DOCUMENTATION) + (
    "path-include=/usr/share/doc/*/copyright\n"
)


def tidy(root: Path, sources: str, *, slim: bool, epoch: int) -> None:
    """Make a root filesystem an image.

    Args:
        root: as mmdebstrap or debootstrap left it.
        sources: apt's sources, in deb822 form.
        slim: without documentation and translations.
        epoch: nothing is newer than this, in seconds.

    Raises:
        StoreFull, ImageError: a file can not be written or removed.
    """
    try:
        _clear(root)
        _add(root, sources)
        if slim:
            write_file(root / "etc/dpkg/dpkg.cfg.d/90slim", _SLIM)
            for name in _DOCUMENTATION:
                _strip(root / "usr/share" / name)
        clamp(os.fspath(root), epoch)
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(f"no room to make an image in {root}") from exc
        raise ImageError(f"tidying an image: {exc.filename}: {exc.strerror}") from exc


def untidy(root: Path) -> None:
    """Take away what would be in the way of installing from outside; `tidy` brings it back."""
    for name in ("etc/apt/apt.conf.d/90container", "etc/apt/sources.list.d/debian.sources"):
        (root / name).unlink(missing_ok=True)


def _clear(root: Path) -> None:
    for name in _REMOVED:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name in _EMPTIED:
        for path in (root / name).iterdir() if (root / name).is_dir() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    shutil.rmtree(root / "etc/apt/sources.list.d", ignore_errors=True)
    for name in _KEPT:
        (root / name).mkdir(parents=True, exist_ok=True)


def _add(root: Path, sources: str) -> None:
    for name, text in _FILES.items():
        write_file(root / name, text)
    (root / "etc/apt/sources.list.d").mkdir(mode=0o755)
    write_file(root / "etc/apt/sources.list.d/debian.sources", sources)
    policy = root / "usr/sbin/policy-rc.d"
    policy.unlink(missing_ok=True)
    write_file(policy, _POLICY, 0o755)


def _strip(directory: Path) -> None:
    """Remove a directory's files, except copyrights; keep the directories."""
    for level, _, names in os.walk(directory):
        for name in names:
            if name != "copyright":
                os.unlink(f"{level}/{name}")


def clamp(root: str, epoch: int) -> None:
    """Make nothing newer than the epoch; directories last, as changes below touch them."""
    limit = epoch * 10**9
    levels = [root]
    for level in levels:
        with os.scandir(level) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    levels.append(entry.path)
                else:
                    _age(entry.path, limit)
    for level in levels:
        _age(level, limit)


def _age(path: str, limit: int) -> None:
    found = os.lstat(path)
    if found.st_mtime_ns > limit:  # never touch another: in a stack it is a layer's below
        os.utime(path, ns=(limit, limit), follow_symlinks=False)
