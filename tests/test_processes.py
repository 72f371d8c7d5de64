import os
import subprocess
import sys

import pytest

from pipelines._processes import alive, ended


def test_a_process_is_alive_until_it_has_been_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert alive(child.pid)
    child.communicate(b"\n")
    assert not alive(child.pid)


def test_one_of_another_user_is_alive_and_a_number_of_none_is_not():
    assert alive(1)
    assert alive(os.getpid())
    assert not alive(1 << 80)


@pytest.mark.parametrize("pidfds", [True, False])
def test_the_end_of_a_child_is_told_and_that_it_has_not_come(monkeypatch, pidfds):
    if not pidfds:
        monkeypatch.delattr(os, "pidfd_open")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert not ended(child, 0.01)
    child.stdin.close()
    assert ended(child, 60)
    assert ended(child, 0)
    assert child.returncode == 1
