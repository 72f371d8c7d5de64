"""`pipelines doctor`: what it prints, and its exit codes."""

import json
import os
import subprocess
import sys

import pytest

from pipelines._session import environment


def doctor(*arguments, **env):
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli.main", "doctor", *arguments],
        env={**environment(os.environ), **env},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_what_is_missing_is_told_with_what_it_costs(tmp_path):
    done = doctor(PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert "MISS  git: not found\n      without it: git sources" in done.stdout
    assert done.returncode in {0, 5}


def test_everything_that_was_seen_is_there_as_json(tmp_path):
    done = doctor("--json", XDG_CACHE_HOME=str(tmp_path))
    found = json.loads(done.stdout)
    assert {"session namespace", "bubblewrap", "store", "git"} <= {
        check["name"] for check in found["checks"]
    }
    assert done.returncode == (
        0 if all(check["ok"] for check in found["checks"] if check["needed"]) else 5
    )


def test_a_machine_that_can_run_nothing_has_an_exit_code_of_its_own(tmp_path):
    (tmp_path / "cache").touch()
    done = doctor("machine", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 5
    assert "no session of the embedded engine can start" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["machin"], 2, "did you mean machine?"),
        (["machine", "--yaml"], 2, "usage: pipelines doctor"),
        (["--help"], 0, "subjects:"),
    ],
)
def test_arguments_are_checked(arguments, code, said):
    done = doctor(*arguments)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
