"""Places where a test kills the process.

Crash-only code is tested by crashing: with `PIPELINES_CRASH_AT=<label>` the process is
killed, as by the kernel, when it comes to that label; `<label>:<n>` kills it at the n-th
time. Without the variable a point costs one dictionary lookup.
"""

import os
import signal

__all__ = ["VARIABLE", "crashpoint"]

VARIABLE = "PIPELINES_CRASH_AT"


def crashpoint(label: str) -> None:
    """Kill this process here if the environment says so."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    name, _, left = wanted.partition(":")
    if name != label:
        return
    if int(left or 1) > 1:
        os.environ[VARIABLE] = f"{name}:{int(left) - 1}"
        return
    os.kill(os.getpid(), signal.SIGKILL)
