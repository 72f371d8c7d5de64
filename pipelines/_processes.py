"""Processes of this machine, by their number."""

import os
import select
import subprocess
from typing import Any

__all__ = ["alive", "ended"]


def alive(pid: int) -> bool:
    """Tell whether there is a process with this number, whoever owns it."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def ended(process: "subprocess.Popen[Any]", seconds: float) -> bool:
    """Wait for a child to end, for so long at most; tell whether it did, at the moment it does.

    `Popen.wait(timeout)` looks at intervals that grow to 50 ms; a command that waits for its engine
    would see its end that much later. The kernel tells it at once, where it has pidfds.
    """
    if process.poll() is not None:
        return True
    try:
        descriptor = os.pidfd_open(process.pid)
    except (OSError, AttributeError):  # an old kernel, a strict sandbox, or not Linux
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.poll(seconds * 1000)
    finally:
        os.close(descriptor)
    return process.poll() is not None
