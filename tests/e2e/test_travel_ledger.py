"""The ledger of a fresh machine: what an answer spared is all that need not run below it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import remove

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox]

CI = """
from dagger import dag
from pipelines import Cache, mount

async def make() -> str:
    box = dag.container().from_("busybox")
    for number in (1, 2):
        box = box.with_exec(["sh", "-c", f"sleep 1; echo {number} >> /made"])
    return await box.with_exec(["cat", "/made"]).stdout()

async def work(word: str) -> str:
    box = dag.container().from_("busybox").with_(mount(Cache("things", "/c")))
    line = f"test -e /c/x || sleep 2; echo {word} >> /c/x; echo {word}"
    return await box.with_exec(["sh", "-c", line]).stdout()
"""


def run(tmp_path, name, *words):
    place = tmp_path / name / "shop"
    place.mkdir(parents=True, exist_ok=True)
    (place / "ci.py").write_text(CI)
    env = {
        **os.environ,
        "PIPELINES_CACHE_BUDGET": "300",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "XDG_CACHE_HOME": str(tmp_path / name / "cache"),
        "PIPELINES_CACHE_URL": str(tmp_path / "backend"),
        "PIPELINES_CACHE_SCOPE": "local",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pipelines.cli.main", *words],
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_an_answer_spares_all_that_is_below_it(tmp_path, monkeypatch):
    for name in ("one", "two"):
        assert run(tmp_path, name, "run", "make") == "1\n2\n"
        told = json.loads(run(tmp_path, name, "cache", "report", "--json"))
        (results,) = [each for each in told["caches"] if each["cache"] == "results"]
        if name == "one":
            assert results["saved"] == 0
        else:
            assert results["saved"] >= 2.0, "two commands that slept a second each"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name / "cache"))
        remove(tmp_path / name / "cache")


def test_a_volume_that_was_in_the_store_does_not_tell_what_cold_work_takes(tmp_path, monkeypatch):
    colds = []
    for word in ("one", "two"):
        assert run(tmp_path, "here", "run", "work", "--word", word) == f"{word}\n"
        found = json.loads(run(tmp_path, "here", "cache", "inspect", "--json"))
        metas = [head["meta"] for head in found["heads"] if head["kind"] == "build"]
        colds.append([float(meta["cold"]) for meta in metas])
    assert colds[0] == colds[1]
    assert colds[0][0] >= 2.0
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here" / "cache"))
    remove(tmp_path / "here" / "cache")
