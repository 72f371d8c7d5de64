import os
import subprocess
import sys

from pipelines._processes import alive


def test_a_process_is_alive_until_it_has_been_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert alive(child.pid)
    child.communicate(b"\n")
    assert not alive(child.pid)


def test_one_of_another_user_is_alive_and_a_number_of_none_is_not():
    assert alive(1)
    assert alive(os.getpid())
    assert not alive(1 << 80)
