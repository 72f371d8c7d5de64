"""Processes of this machine, by their number."""

import os

__all__ = ["alive"]


def alive(pid: int) -> bool:
    """Tell whether there is a process with this number, whoever owns it."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
