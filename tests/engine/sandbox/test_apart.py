"""Programs of the host that are run apart: what they mount and start ends with them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.engine.sandbox import apart
from tests.engine.sandbox.session import enter_as, in_child

pytestmark = pytest.mark.sandbox

ENVIRON = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


def run(mode, script, tmp_path):
    """Run a shell script apart, in a session of a mode."""

    def inside():
        words = apart.prefix(single=enter_as(mode, tmp_path) == "single")
        done = subprocess.run(
            [*words, "/bin/sh", "-c", script],
            env=ENVIRON,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    return in_child(inside)


def test_the_exit_code_is_the_commands(mode, tmp_path):
    assert run(mode, "echo out; exit 7", tmp_path) == (7, "out\n")
    assert run(mode, "kill -9 $$", tmp_path)[0] == 137


def test_a_mount_is_gone_with_it(mode, tmp_path):
    script = "mkdir m && mount -t tmpfs none m && touch m/file && ls m"
    assert run(mode, script, tmp_path) == (0, "file\n")
    assert list((tmp_path / "m").iterdir()) == []


def test_what_is_left_running_is_killed(mode, tmp_path):
    started = time.monotonic()
    code, said = run(mode, "sleep 600 & echo started", tmp_path)
    assert (code, said) == (0, "started\n")
    assert time.monotonic() - started < 60


def test_changing_owners_succeeds_in_every_mode(mode, tmp_path):
    assert run(mode, "touch file && chown 7:9 file && echo fine", tmp_path) == (0, "fine\n")


def test_a_command_that_is_not_there_is_named():
    done = subprocess.run(
        [*apart.prefix(single=False), "no-such-program"], env=ENVIRON, capture_output=True
    )
    if b"unshare" in done.stderr:
        pytest.skip(done.stderr.decode())
    assert (done.returncode, done.stderr) == (127, b"no-such-program: No such file or directory\n")


def test_it_ends_with_the_process_that_started_it(tmp_path):
    """The parent is killed; the pipe that the command holds is closed when that is gone too."""
    words = [*apart.prefix(single=False), "/bin/sh", "-c", "echo started; sleep 600"]
    script = f"import subprocess; subprocess.run({words!r})"
    with subprocess.Popen(
        [sys.executable, "-c", script], env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        if parent.stdout.readline() != b"started\n":
            pytest.skip("this machine's user may not unshare")
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == b""
