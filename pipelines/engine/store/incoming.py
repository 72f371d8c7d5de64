"""New files of the store: nameless until they are complete.

Theory of operation
    A new file is opened with O_TMPFILE: it has no name, so a crash leaves nothing to clean.
    `link` gives it its name with linkat(2), which fails if the name is taken: names here are
    digests, so what has the name is as good. File systems without O_TMPFILE (some overlays
    and network mounts) get a file in `active/incoming` that its writer holds locked; recovery
    removes those that nobody holds.
"""

import errno
import fcntl
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.engine.store.crash import crashpoint
from pipelines.engine.store.layout import Layout

__all__ = ["Incoming"]

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


class Incoming:
    """A file that is being written; use as a context, write to `fd`, then `link`."""

    __slots__ = ("_draft", "fd")

    def __init__(self, layout: Layout) -> None:
        self._draft: str | None = None
        try:
            self.fd = os.open(layout.incoming, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            if exc.errno not in _UNSUPPORTED:
                raise
            self._open_named(layout)

    def _open_named(self, layout: Layout) -> None:
        draft = str(layout.incoming / secrets.token_hex(12))
        self.fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        self._draft = draft

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._draft is not None:
            os.unlink(self._draft)
        os.close(self.fd)

    def link(self, target: str | Path) -> bool:
        """Give the file its name; False if another file has that name already."""
        crashpoint("incoming.before-link")
        source = self._draft or f"/proc/self/fd/{self.fd}"
        try:
            # With a dir_fd (unused, the paths are absolute) Python calls linkat(2) with
            # AT_SYMLINK_FOLLOW, which is what resolves /proc/self/fd.
            os.link(source, target, src_dir_fd=self.fd, follow_symlinks=True)
        except FileExistsError:
            return False
        crashpoint("incoming.after-link")
        return True

    def write(self, piece: bytes | memoryview) -> None:
        """Write all of `piece`."""
        view = memoryview(piece)
        while view:
            view = view[os.write(self.fd, view) :]
