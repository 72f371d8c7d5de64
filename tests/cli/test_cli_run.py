"""The command, whole, against an engine that answers from a table."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fake_engine import TOKEN, FakeEngine

ROOT = Path(__file__).parents[2]
CI = '''
from dagger import Directory, dag
from pipelines import Platform, StageFailed, gather, stage
import anyio

async def build(source: Directory, platform: Platform = Platform("linux", "amd64")) -> Directory:
    """Build it."""
    return source.with_new_file("made", "x")

async def say(word: str = "hello") -> str:
    print("noise", file=__import__("sys").stderr)
    return word

async def red() -> str:
    return await dag.container().with_exec(["false"]).stdout()

async def check():
    raise StageFailed("coverage is 3 %")

async def slow():
    open("started", "w").close()
    await anyio.sleep(3600)

@stage(timeout=0.01)
async def late():
    await anyio.sleep(3600)
'''


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "ci.py").write_text(CI)
    return tmp_path


def environment(engine):
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DAGGER_SESSION_PORT": str(engine.port),
        "DAGGER_SESSION_TOKEN": TOKEN,
    }


def pipelines(repository, *arguments, failing=()):
    with FakeEngine(failing=failing).serving() as engine:
        ran = subprocess.run(
            [sys.executable, "-m", "pipelines.cli.main", *arguments],
            cwd=repository,
            env=environment(engine),
            capture_output=True,
            text=True,
        )
    ran.forced = engine.forced
    return ran


def test_results_go_to_stdout_and_all_else_to_stderr(repository):
    ran = pipelines(repository, "run", "say", "--word", "bye")
    assert (ran.returncode, ran.stdout) == (0, "bye\n")
    assert "stage  platform  duration  result\nsay" in ran.stderr
    assert ran.stderr.rstrip().endswith("done")  # this engine does not tell what ran


def test_a_directory_is_exported_and_its_input_leaves_that_out(repository):
    ran = pipelines(repository, "run", "build", "--export", "out")
    assert ran.returncode == 0, ran.stderr
    assert "exclude=['.git', 'out']" in ran.forced[0]
    assert f"build: wrote {repository}/out" in ran.stderr
    assert "linux/amd64" not in ran.stdout


def test_without_export_it_says_where_to_put_the_result(repository):
    assert "--export DEST" in pipelines(repository, "run", "build").stderr


def test_stages_run_at_once_and_share_flags(repository):
    ran = pipelines(repository, "run", "say", "build", "--source", ".", "--word", "x")
    assert (ran.returncode, ran.stdout) == (0, "x\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "biuld"], 2, "did you mean build?"),
        (["run"], 2, "name at least one stage"),
        (["run", "--source", "."], 2, "name a stage before its flags"),
        (["run", "build", "--source", "/no/such"], 2, "/no/such does not exist"),
        (["run", "build", "--platform", "linux/arm/v9"], 2, "known: v5, v6, v7"),
        (["run", "say", "--jobs", "0"], 2, "--jobs"),
        (["run", "say", "--progress", "loud"], 2, "'loud'"),
        (["run", "say", "-f", "none.py"], 2, "no such file: none.py"),
        (["rum"], 2, "did you mean run?"),
        (["run", "red"], 1, "command failed with exit code 3: false"),
        (["run", "check"], 1, "error: coverage is 3 %"),
        (["run", "late"], 4, "stage late did not end within 0.01 s"),
        (["run", "check", "late", "--keep-going"], 1, "error (in late)"),
    ],
)
def test_every_failure_has_its_exit_code_and_words(repository, arguments, code, words):
    ran = pipelines(repository, *arguments, failing=[["false"]])
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr
    assert not ran.stdout


def test_help_shows_the_flags_of_a_stage(repository):
    ran = pipelines(repository, "run", "build", "--help")
    assert ran.stdout.startswith(
        "usage: pipelines run build [--source DIR] [--platform OS/ARCH]\n\nBuild it."
    )


def test_list_shows_every_stage(repository):
    ran = pipelines(repository, "list")
    assert "build  Build it." in ran.stdout
    assert "say" in ran.stdout


def test_help_needs_no_sdk():
    program = (
        "import sys; from pipelines.cli.main import main; code = main(['--help']);"
        "assert not {'dagger', 'anyio', 'argparse', 'rich'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "usage: pipelines COMMAND" in ran.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_its_own_code(repository, number, code):
    with FakeEngine().serving() as engine:
        command = [sys.executable, "-m", "pipelines.cli.main", "run", "slow"]
        process = subprocess.Popen(
            command, cwd=repository, env=environment(engine), stderr=subprocess.PIPE, text=True
        )
        while not (repository / "started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, words = process.communicate()
    assert process.returncode == code
    assert "cancelled" in words
