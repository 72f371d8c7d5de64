"""SIGKILL at any moment of a run loses nothing and leaves nothing (issue, Shows 6).

`PIPELINES_KILL_ROUNDS=100` for the full show. The delays are random but seeded, spread over
the measured length of a full run; which of the two processes is killed is random too. What
every third round leaves behind is looked at by a run to the end; all others are followed by
the next kill, so that wreckage piles up on wreckage.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines._session import command, environment
from tests.conftest import offspring, reaped

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

ROUNDS = int(os.environ.get("PIPELINES_KILL_ROUNDS", "10"))
SEED = int(os.environ.get("PIPELINES_KILL_SEED", "3"))

CI = '''
"""A small pipeline: a chain, a fork, a cache volume, an export."""

import dagger
from dagger import dag
from pipelines import gather

BASE = "cat /src/* > /all; echo $ROUND >> /all"
CELL = "echo $1 >> /c/log; mkdir /o; (cat /all; echo $1; head -c 300000 /dev/zero) > /o/$1"


async def build(source: dagger.Directory, round: str = "") -> dagger.Directory:
    """Build."""
    box = dag.container().from_("busybox").with_env_variable("ROUND", round)
    base = box.with_directory("/src", source).with_exec(["sh", "-c", BASE])

    async def cell(name: str) -> dagger.File:
        cached = base.with_mounted_cache("/c", dag.cache_volume("c"))
        made = cached.with_exec(["sh", "-c", CELL, "sh", name])
        return await made.file(f"/o/{name}").sync()

    files = await gather({name: cell(name) for name in ("one", "two", "three")})
    return dag.directory().with_files(".", list(files.values()))
'''
SOURCE = {"a.txt": "a\n", "b.txt": "b\n"}


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    (root / "source").mkdir(parents=True)
    (root / "ci.py").write_text(CI)
    for name, text in SOURCE.items():
        (root / "source" / name).write_text(text)
    return root


def start(project, number):
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pipelines.cli.main", "run", "build", "--source", "source",
         "--round", str(number), "--export", "out"],
        cwd=project,
        env=environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def expected(number):
    text = "".join(SOURCE.values()) + f"{number}\n"
    return {name: text.encode() + name.encode() + b"\n" + bytes(300_000)
            for name in ("one", "two", "three")}  # fmt: skip


def finish(project, number):
    """Run to the end: the output must be right, whatever was found."""
    with start(project, number) as run:
        assert run.stdout is not None
        said = run.stdout.read().decode()
    assert run.returncode == 0, said
    found = {path.name: path.read_bytes() for path in (project / "out").iterdir()}
    assert found == expected(number), sorted(found)


def engine_of(cli):
    """The session's process: the child of the command."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{cli.pid}/task/{cli.pid}/children").read_text().split()
        return [int(child) for child in children]
    return []


def shoot(cli, victims):
    """Kill the command, its session, or both."""
    targets = engine_of(cli) if "session" in victims else []
    if "command" in victims:
        targets.append(cli.pid)
    for pid in targets:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def verify():
    return subprocess.run(command("--cache", "verify"), env=environment(os.environ),
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)  # fmt: skip


def test_a_run_that_is_killed_at_any_moment_loses_nothing_and_leaves_nothing(project, store):
    dice = random.Random(SEED)
    before = offspring()
    began = time.monotonic()
    finish(project, "first")
    length = time.monotonic() - began
    for number in range(ROUNDS):
        victims = dice.choice([("command",), ("session",), ("command", "session")])
        delay = dice.uniform(0, length)
        with start(project, number) as run:
            time.sleep(delay)
            shoot(run, victims)
            assert run.stdout is not None
            run.stdout.read()
        where = f"seed {SEED}, round {number}: {victims} after {delay:.3f} s of {length:.3f} s"
        assert reaped(before) == {}, where
        if number % 3 == 2 or number == ROUNDS - 1:
            shutil.rmtree(project / "out", ignore_errors=True)
            finish(project, number)
            verified = verify()
            assert verified.returncode == 0, f"{where}\n{verified.stdout}{verified.stderr}"
            assert [p for p in (store / "active").iterdir() if p.name != "incoming"] == [], where
            assert list((store / "active" / "incoming").iterdir()) == [], where
