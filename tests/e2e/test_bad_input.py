"""What users get wrong, through the command: a clear message and the documented exit code."""

import os
import socket
import subprocess
import sys

import pytest

from pipelines._session import environment

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox]

FAILED, USAGE = 1, 2
CI = '''
from typing import Literal

import dagger
from dagger import dag
from pipelines import Platform, gather, matrix


def box() -> dagger.Container:
    return dag.container().from_("busybox")


async def build(source: dagger.Directory, platform: Platform = Platform("linux", "amd64")) -> str:
    """Build."""
    return await box().with_directory("/src", source).with_exec(["ls", "/src"]).stdout()


async def mode(kind: Literal["fast", "slow"] = "fast", count: int = 1) -> str:
    """Choose."""
    return f"{kind} {count}"


async def empty() -> str:
    """Make a matrix of nothing."""
    return str(matrix(Platform, os=["linux"], arch=[]))


async def missing() -> str:
    """Run what is not in the image."""
    return await box().with_exec(["cargo", "build"]).stdout()


async def bytes_() -> str:
    """Print what is no text."""
    return await box().with_exec(["printf", r"a\\377b"]).stdout()


async def shouting() -> str:
    """Fail after bytes that are no text."""
    script = r"printf 'out \\377\\n'; printf 'err \\376\\n' >&2; exit 3"
    return await box().with_exec(["sh", "-c", script]).stdout()


async def big() -> str:
    """Print 200 MB, and give their number as the next command counts them."""
    script = "head -c 200000000 /dev/zero | tr '\\\\0' x"
    printed = box().with_exec(["sh", "-c", script], redirect_stdout="/out")
    return await printed.with_exec(["wc", "-c", "/out"]).stdout()


async def big_and_wrong() -> str:
    """Print a lot, then fail."""
    script = "yes 'a line of output' | head -n 400000; echo the last line; exit 1"
    return await box().with_exec(["sh", "-c", script]).stdout()


async def cells() -> str:
    """Fail in one cell of two."""

    async def cell(code: str) -> str:
        return await box().with_exec(["sh", "-c", f"echo {code}; exit {code}"]).stdout()

    return str(await gather({f"cell-{code}": cell(code) for code in ("0", "7")}))


async def count(source: dagger.Directory) -> str:
    """Count files."""
    script = "find /src -type f | wc -l"
    mounted = box().with_mounted_directory("/src", source)
    return await mounted.with_exec(["sh", "-c", script]).stdout()
'''


@pytest.fixture
def run(store, tmp_path):
    """Run the command in a project of its own."""
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "ci.py").write_text(CI)
    (project / "src/file").write_text("text")

    def call(*words, **options):
        paths = environment(os.environ)
        return subprocess.run(
            [sys.executable, "-P", "-m", "pipelines.cli.main", "run", *words],
            cwd=project,
            env=paths,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            **options,
        )

    call.project = project
    return call


WRONG = {
    "a stage that is not there": (
        ["biuld"],
        USAGE,
        ["no stage 'biuld'", "did you mean build?", "stages: build"],
    ),
    "no stage": ([], USAGE, ["name at least one stage"]),
    "a flag that is not there": (["build", "--sorce", "src"], USAGE, ["--sorce", "--source"]),
    "a value of no kind": (["mode", "--kind", "fsat"], USAGE, ["--kind", "fast, slow", "'fsat'"]),
    "a number that is none": (["mode", "--count", "many"], USAGE, ["--count", "'many'"]),
    "a source that is not there": (
        ["build", "--source", "nope"],
        USAGE,
        ["--source nope", "does not exist"],
    ),
    "a source that is a file": (
        ["build", "--source", "ci.py"],
        USAGE,
        ["--source ci.py", "is not a directory"],
    ),
    "an unknown system": (
        ["build", "--platform", "linxu/amd64"],
        USAGE,
        ["--platform linxu/amd64", "unknown operating system 'linxu'", "did you mean linux?"],
    ),
    "an unknown architecture": (
        ["build", "--platform", "linux/x86_64"],
        USAGE,
        ["unknown architecture 'x86_64'", "amd64"],
    ),
    "an unknown variant": (
        ["build", "--platform", "linux/arm/v9"],
        USAGE,
        ["unknown variant 'v9' of arm", "v6"],
    ),
    "an empty matrix": (["empty"], USAGE, ["Platform would have no cells", "axis 'arch'"]),
    "a command that is not in the image": (
        ["missing"],
        FAILED,
        ["cargo build", 'exec: "cargo": executable file not found in $PATH'],
    ),
    "no jobs": (["mode", "--jobs", "0"], USAGE, ["--jobs", "got 0"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(run, name):
    words, code, expected = WRONG[name]
    ran = run(*words)
    assert ran.returncode == code, ran.stderr
    assert ran.stdout == ""
    assert [text for text in expected if text not in ran.stderr] == [], ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_stages_it_is_said_where_they_were_looked_for(run):
    (run.project / "ci.py").unlink()
    ran = run("build")
    assert ran.returncode == USAGE
    assert "there is no ci.py, no ci/__init__.py" in ran.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_source_that_can_not_be_read_is_said(run):
    (run.project / "src").chmod(0)
    ran = run("build", "--source", "src")
    (run.project / "src").chmod(0o700)
    assert ran.returncode == USAGE
    assert "is not readable by this user" in ran.stderr


def test_output_that_is_no_text_is_shown_with_replacements(run):
    ran = run("bytes_")
    assert (ran.returncode, ran.stdout) == (0, "a�b\n")
    failed = run("shouting")
    assert failed.returncode == FAILED
    assert "out �" in failed.stderr
    assert "err �" in failed.stderr
    assert "exit code 3" in failed.stderr


def test_a_failure_names_its_cell_and_shows_its_output(run):
    ran = run("cells")
    assert ran.returncode == FAILED
    assert "in cell-7" in ran.stderr
    assert "exit code 7: sh -c 'echo 7; exit 7'" in ran.stderr


def test_a_lot_of_output_is_kept_whole(run):
    ran = run("big")
    assert (ran.returncode, ran.stdout) == (0, "200000000 /out\n"), ran.stderr[-2000:]


def test_of_a_lot_of_output_the_end_is_shown(run):
    ran = run("big_and_wrong", "--progress", "json")
    assert ran.returncode == FAILED
    assert "the last line" in ran.stderr


def test_many_files_are_read_and_placed(run):
    for directory in range(20):
        below = run.project / "src" / f"d{directory}"
        below.mkdir()
        for number in range(1000):
            (below / f"f{number}").touch()
    ran = run("count", "--source", "src")
    assert (ran.returncode, ran.stdout) == (0, "20001\n"), ran.stderr[-2000:]


def test_what_is_no_file_is_left_out_and_said(run):
    os.mkfifo(run.project / "src/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(run.project / "src")
        listening.bind("socket")
        os.chdir(here)
        ran = run("build", "--source", "src")
    assert (ran.returncode, ran.stdout) == (0, "file\n"), ran.stderr
    assert "src/pipe is left out" in ran.stderr
    assert "src/socket is left out" in ran.stderr


def test_links_in_circles_and_out_of_the_source_are_only_links(run):
    for name, target in (("loop", "."), ("one", "two"), ("two", "one"), ("out", "/etc/passwd")):
        (run.project / "src" / name).symlink_to(target)
    ran = run("build", "--source", "src")
    assert (ran.returncode, ran.stdout) == (0, "file\nloop\none\nout\ntwo\n"), ran.stderr


def test_a_store_that_can_not_be_used_is_exit_code_5(run, store):
    store.mkdir(parents=True, mode=0o700)
    (store / "version").write_text("99\n")
    ran = run("build", "--source", "src")
    (store / "version").unlink()
    assert ran.returncode == 5, ran.stderr
    assert "has format '99'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_two_runs_at_once_are_both_right(run):
    import threading

    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(run("build", "--source", "src")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(ran.returncode, ran.stdout) for ran in answers] == [(0, "file\n")] * 2
