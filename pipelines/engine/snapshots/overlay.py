"""Snapshots by overlayfs: a view costs one mount, whatever its size.

Theory of operation
    An active snapshot is `<active>/<token>/` with `fs` (the upper), `work` and `root` (the
    view). Commit unmounts, lets `layer.Scan` reduce `fs` to its changes and renames it to
    its place. `userxattr` always, root or not: one format on disk for both, and
    without it deleting directories fails in a user namespace. It also forbids redirects and
    metadata-only copies, so an upper is always complete. `volatile` always: an upper is
    mounted once, so its syncs are worth nothing.

    Every layer slows down each lookup of an absent name, so stacks deeper than `merge.DEEP`
    are mounted with groups of layers merged into one by hard links; ids do not change.

    A mount in which nothing at all was written is as good as new: it is parked, and the next
    `prepare` of the same stack gets it for nothing. `close` unmounts what is parked.

    `<active>/<token>` is used again after a commit, without `fs`: the mount's own preparations
    in `work` are most of its cost.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipelines.engine.errors import StoreError
from pipelines.engine.snapshots import kernel
from pipelines.engine.snapshots.base import Active
from pipelines.engine.snapshots.layer import Scan, owner_of
from pipelines.engine.snapshots.merge import Flat, dress
from pipelines.engine.snapshots.shelf import Shelf, clear, storing
from pipelines.engine.snapshots.stack import Level

__all__ = ["FLAGS", "Overlay", "escape", "option_string"]

FLAGS = ("userxattr", "volatile", "index=off")
_PAGE = 4095


def escape(path: str) -> str:
    r"""Escape what overlayfs's option parser takes for its own: `\`, `:` and `,`."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def option_string(
    flags: Sequence[str], lowers: Sequence[str], upper: str = "", work: str = ""
) -> str:
    """Spell the options of a mount; lowers topmost first, no upper for a read-only view."""
    parts = [*flags, "lowerdir=" + ":".join(map(escape, lowers))]
    if upper:
        parts += [f"upperdir={escape(upper)}", f"workdir={escape(work)}"]
    return ",".join(parts)


Stack = tuple[tuple[str, ...], Path | None]
PARKED = 16


def _untouched(upper: str, level: Level) -> bool:
    """Tell whether nothing at all was written: then the mount is as good as new."""
    with os.scandir(upper) as entries:
        if next(entries, None) is not None:
            return False
    return bool(level) and owner_of(os.lstat(upper)) == owner_of(os.lstat(level[0].path))


class Overlay(Shelf):
    """`Snapshots` by overlayfs; for a process in a mount namespace of its own.

    `flags` are the mount options that this kernel takes (`probe.overlay_flags`).
    """

    def __init__(self, root: Path, active: Path, flags: Sequence[str] = FLAGS) -> None:
        super().__init__(root, active)
        self._flags = tuple(flags)
        self._flat = Flat(self)
        self._live: dict[str, tuple[str, Stack, Level]] = {}
        self._spare: list[str] = []
        self._parked: dict[Stack, list[str]] = {}

    def prepare(self, layers: Sequence[str], ground: Path | None = None) -> Active:
        """Make a writable view of a stack; see `Snapshots.prepare`."""
        with storing("prepare a snapshot"):
            level = self._flat.level(layers, ground)
            if (parked := self._unpark((tuple(layers), ground))) is not None:
                return self._active(parked, (tuple(layers), ground), level)
            home = self._home()
            try:
                dress(f"{home}/fs", level)
                lowers = [branch.path for branch in level] or [self.empty()]
                self._mount(f"{home}/root", 0, lowers, f"{home}/fs", f"{home}/work")
            except BaseException:
                clear(home)
                raise
        return self._active(home, (tuple(layers), ground), level)

    def commit(self, active: Active) -> tuple[str, ...]:
        """Unmount; give the stack with the changes as one more layer, if there are any."""
        if active.token not in self._live:
            raise StoreError(f"commit a snapshot: {active.path} was committed or discarded before")
        home, stack, level = self._live.pop(active.token)
        with storing("commit a snapshot"):
            if _untouched(f"{home}/fs", level) and self._park(home, stack):
                return active.layers
            try:
                clean = _unmount(f"{home}/root")
                scan = Scan(level)
                if not scan.run(f"{home}/fs"):
                    os.rmdir(f"{home}/fs")
                    result = active.layers
                else:
                    result = (*active.layers, self.publish(f"{home}/fs", scan))
            except BaseException:
                clear(home)
                raise
            if clean:
                self._put_back(home)
            else:
                clear(home)
            return result

    def discard(self, active: Active) -> None:
        """Unmount and throw away; what is already gone is no matter."""
        if active.token in self._live:
            home, _, _ = self._live.pop(active.token)
            with suppress(OSError):
                _unmount(f"{home}/root")
            clear(home)

    def close(self) -> None:
        """Unmount what is parked."""
        while self._parked:
            _, homes = self._parked.popitem()
            for home in homes:
                with suppress(OSError):
                    if _unmount(f"{home}/root"):
                        os.rmdir(f"{home}/fs")
                        self._put_back(home)

    def _active(self, home: str, stack: Stack, level: Level) -> Active:
        token = f"{home}#{next(self.count)}"  # homes are used again, tokens are not
        self._live[token] = (home, stack, level)
        return Active(Path(home, "root"), stack[0], token)

    def _park(self, home: str, stack: Stack) -> bool:
        """Keep a mount in which nothing was written for the next of the same stack."""
        if sum(map(len, self._parked.values())) >= PARKED:
            return False
        self._parked.setdefault(stack, []).append(home)
        return True

    def _unpark(self, stack: Stack) -> str | None:
        """Take a mount that was parked."""
        with suppress(KeyError, IndexError):
            return self._parked[stack].pop()
        return None

    def _home(self) -> str:
        """Give a directory with `work` and `root`, used before or new: making one costs 0.1 ms."""
        with suppress(IndexError):
            return self._spare.pop()
        home = f"{self.active}/{self.place()}"
        os.mkdir(f"{home}/work")
        os.mkdir(f"{home}/root")
        return home

    def _put_back(self, home: str) -> None:
        """Keep a home for the next one, without the mark that its `volatile` mount left."""
        mark = f"{home}/work/work/incompat"
        try:
            with suppress(FileNotFoundError):
                os.unlink(f"{mark}/volatile/dirty")
                os.rmdir(f"{mark}/volatile")
                os.rmdir(mark)
        except OSError:
            clear(home)
        else:
            self._spare.append(home)

    @contextmanager
    def view(self, layers: Sequence[str]) -> Iterator[Path]:
        """Show a stack read-only for the length of a `with` block."""
        with storing("show a snapshot"):
            lowers = [branch.path for branch in self._flat.level(layers, None)]
            home = f"{self.active}/{self.place()}"
            target = f"{home}/root"
            os.mkdir(target, 0o755)
            if lowers:  # without an upper the kernel wants two
                lowers += [self.empty()] if len(lowers) == 1 else []
                self._mount(target, kernel.MS_RDONLY, lowers)
        try:
            yield Path(target)
        finally:
            with suppress(OSError):
                _unmount(target)
            clear(home)

    def _lowers(self, level: Level) -> list[str]:
        return [branch.path for branch in level] or [self.empty()]

    def _mount(
        self, target: str, flags: int, lowers: Sequence[str], upper: str = "", work: str = ""
    ) -> None:
        """Mount; the kernel takes one page of options, so long paths are named by descriptors."""
        wanted = self._flags if upper else ("userxattr",)
        text = option_string(wanted, lowers, upper, work)
        if len(os.fsencode(text)) <= _PAGE:
            kernel.mount("overlay", target, "overlay", flags, text)
            return
        with ExitStack() as held:
            short = [_descriptor(path, held) for path in (*lowers, upper, work) if path]
            count = len(lowers)
            text = option_string(wanted, short[:count], *short[count:])
            kernel.mount("overlay", target, "overlay", flags, text)


def _descriptor(path: str, held: ExitStack) -> str:
    """Name a directory by a descriptor that is open for as long as `held` is."""
    opened = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    held.callback(os.close, opened)
    return f"/proc/self/fd/{opened}"


def _unmount(target: str) -> bool:
    """Unmount; tell whether at once, or when whatever still holds it open ends."""
    try:
        kernel.umount(target)
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            raise
        kernel.umount(target, kernel.MNT_DETACH)
        return False
    return True
