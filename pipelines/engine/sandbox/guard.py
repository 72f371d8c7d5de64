"""A process that outlives the session by a moment, to end what the session left.

Theory of operation
    `--die-with-parent` leaves two gaps, because bwrap asks for it itself. A session that is
    killed before its bwrap has asked leaves a command that runs on; one that is killed
    between the asking and the release of pid 1 takes the monitor with it, and pid 1 waits
    for its release for ever. On a busy machine one SIGKILL in ten hits a gap.

    So every bwrap joins the process group of a guard, which waits for the end of a pipe that
    only the session holds, and then kills its group, itself included. The pipe ends with the
    session however that ends; and because a child holds it too until it has joined the group
    and been executed, nothing can come after the end.
"""

import os
import signal
from contextlib import suppress

__all__ = ["Guard"]


class Guard:
    """The guard of one session; `group` is the process group that ends with the session."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe2(os.O_CLOEXEC)
        self.group = os.fork()
        if self.group == 0:
            _wait_and_kill(reading)
        os.close(reading)
        # Both sides do it: whoever is first, the group is there before it is used.
        with suppress(PermissionError):
            os.setpgid(self.group, self.group)

    def close(self) -> None:
        """End the group and collect the guard."""
        os.close(self._writing)
        os.waitpid(self.group, 0)


def _wait_and_kill(reading: int) -> None:
    """Be the guard. It holds nothing of the session: no lock, no pipe, no socket."""
    try:
        os.setpgid(0, 0)
        os.dup2(reading, 0)
        os.closerange(1, 1 << 20)
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(1)
