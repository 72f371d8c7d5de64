"""What a session started ends with it, however it ends."""

import os
import select
import signal
import subprocess
import sys

import pytest

from pipelines.engine.sandbox.guard import Guard

pytestmark = pytest.mark.sandbox

SESSION = """
import os, subprocess, sys
from pipelines.engine.sandbox.guard import Guard

guard = Guard()
child = subprocess.Popen(["sleep", "1000"], process_group=guard.group, stdin=subprocess.DEVNULL)
print(child.pid, guard.group, flush=True)
sys.stdin.read()
"""


def ended(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(5000))


def test_a_killed_session_takes_its_group_with_it():
    with subprocess.Popen(
        [sys.executable, "-c", SESSION], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as session:
        assert session.stdout is not None
        watched = [os.pidfd_open(int(pid)) for pid in session.stdout.readline().split()]
        session.send_signal(signal.SIGKILL)
        assert [ended(descriptor) for descriptor in watched] == [True, True]
        for descriptor in watched:
            os.close(descriptor)


def test_a_guard_that_is_closed_is_gone_and_has_held_nothing():
    reading, writing = os.pipe()
    guard = Guard()
    os.close(writing)
    assert os.read(reading, 1) == b""  # the guard does not hold the other end
    os.close(reading)
    guard.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(guard.group, 0)
