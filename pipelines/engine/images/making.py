"""Make files, links and FIFOs of archives in directories that are held open.

Every function takes a descriptor of the directory and one name without a slash, and makes
something new there: with O_EXCL, never through what has the name.
"""

import hashlib
import os
import stat
from collections.abc import Iterator

from pipelines.engine.errors import ImageError
from pipelines.engine.images.attributes import set_attributes, stamp
from pipelines.engine.images.ownership import Ownership
from pipelines.engine.images.tarread import Member

__all__ = ["Making", "described"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


class Making:
    """Makes what members describe, owned as far as that is possible here."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    def write(self, member: Member, at: int, name: bytes, content: Iterator[bytes]) -> str:
        """Make a file; give the hex sha-256 of its bytes."""
        digest = hashlib.sha256()
        descriptor = os.open(name, _NEW, 0o600, dir_fd=at)
        try:
            for piece in content:
                digest.update(piece)
                if (written := os.write(descriptor, piece)) < len(piece):
                    _write(descriptor, piece[written:])
            self.settle(member, descriptor)
        finally:
            os.close(descriptor)
        return digest.hexdigest()

    def settle(self, member: Member, descriptor: int) -> None:
        """Set what is known of a file or directory.

        Changing the owner clears mode bits and capabilities, so it comes first.
        """
        self._ownership.give(member.uid, member.gid, lambda u, g: os.fchown(descriptor, u, g))
        os.fchmod(descriptor, member.mode)
        if member.xattrs:
            set_attributes(descriptor, member.xattrs)
        stamp(descriptor, member.mtime)

    def link(self, member: Member, at: int, name: bytes) -> None:
        """Make a symbolic link.

        Raises:
            ImageError: it has no target.
        """
        if not member.target or b"\0" in member.target:
            raise ImageError(f"the archive has a link to nowhere: {member.name[:200]!r}")
        os.symlink(member.target, name, dir_fd=at)
        self._give(member, at, name)
        when = (member.mtime, member.mtime)
        os.utime(name, ns=when, dir_fd=at, follow_symlinks=False)

    def fifo(self, member: Member, at: int, name: bytes) -> None:
        """Make a FIFO."""
        os.mkfifo(name, 0o600, dir_fd=at)
        self._give(member, at, name)
        os.chmod(name, member.mode, dir_fd=at)

    def copy(self, source: bytes, directory: int, at: int, name: bytes) -> None:
        """Make a copy of another file, with all that is known of it."""
        reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            content = iter(lambda: os.read(reader, _CHUNK), b"")
            self.write(described(reader, name), at, name, content)
        finally:
            os.close(reader)

    def _give(self, member: Member, at: int, name: bytes) -> None:
        def chown(uid: int, gid: int) -> None:
            os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)

        self._ownership.give(member.uid, member.gid, chown)


def described(descriptor: int, name: bytes) -> Member:
    """Describe an open file or directory as an archive would."""
    found = os.fstat(descriptor)
    return Member(
        name=name,
        kind="dir" if stat.S_ISDIR(found.st_mode) else "file",
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size,
        mtime=found.st_mtime_ns,
        xattrs={key: os.getxattr(descriptor, key) for key in os.listxattr(descriptor)},
    )


def _write(descriptor: int, piece: bytes) -> None:
    written = os.write(descriptor, piece)
    while written < len(piece):
        written += os.write(descriptor, piece[written:])
