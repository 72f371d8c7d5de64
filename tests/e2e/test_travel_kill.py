"""SIGKILL while caches are restored and saved: nothing wrong is left, here or there.

Every round is a machine of its own on one backend, killed at a moment of its run. After each the
backend still serves a fresh machine, whose outputs are right and whose store is what it says.
"""

import os
import random
import shutil
import time

import pytest

from tests.conftest import offspring, reaped
from tests.e2e.conftest import remove, upkeep
from tests.e2e.test_kill import CI, SOURCE, finish, shoot, start

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

ROUNDS = int(os.environ.get("PIPELINES_TRAVEL_KILL_ROUNDS", "3"))
SEED = int(os.environ.get("PIPELINES_KILL_SEED", "3"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "project"
    (root / "source").mkdir(parents=True)
    (root / "ci.py").write_text(CI)
    for name, text in SOURCE.items():
        (root / "source" / name).write_text(text)
    monkeypatch.delenv("PIPELINES_CACHE_DIR", raising=False)
    monkeypatch.setenv("PIPELINES_CACHE_URL", str(tmp_path / "shared"))
    monkeypatch.setenv("PIPELINES_CACHE_MODE", "always")
    return root


def test_a_machine_that_is_killed_at_any_moment_harms_no_other(project, tmp_path, monkeypatch):
    dice, before = random.Random(SEED), offspring()

    def machine(name):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        return tmp_path / name

    stores = [machine("first")]
    began = time.monotonic()
    finish(project, "same")
    length = time.monotonic() - began
    for number in range(ROUNDS):
        stores.append(machine(f"killed-{number}"))
        delay = dice.uniform(length / 4, length)
        with start(project, dice.choice(["same", number])) as run:
            time.sleep(delay)
            shoot(run, ("command", "session"))
            run.stdout.read()
        assert reaped(before) == {}, delay
        stores.append(machine(f"fresh-{number}"))
        shutil.rmtree(project / "out", ignore_errors=True)
        finish(project, number)
    for store in stores:
        machine(store.name)
        verified = upkeep("verify")
        assert verified.returncode == 0, verified.stdout
        remove(store)
