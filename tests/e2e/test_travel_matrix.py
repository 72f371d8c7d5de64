"""A matrix over CI jobs: six machines save at once, and the seventh finds what all of them made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import remove

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox]

JOBS = 6
CI = """
from dagger import dag
from pipelines import Cache, gather, mount

async def make(cell: int) -> str:
    box = dag.container().from_("busybox").with_(mount(Cache("npm-cells", "/cache")))
    return await box.with_exec(["sh", "-c", f"echo {cell} | tee /cache/{cell}"]).stdout()

async def every(cells: int) -> str:
    made = await gather({n: make(n) for n in range(cells)})
    box = dag.container().from_("busybox").with_(mount(Cache("npm-cells", "/cache")))
    listed = await box.with_exec(["sh", "-c", "cat /cache/* | sort"]).stdout()
    return "".join(made.values()) + "--\\n" + listed
"""


def machine(tmp_path, name, *words):
    """Start `pipelines run` with a store of its own; the backend is everybody's."""
    place = tmp_path / name / "shop"
    place.mkdir(parents=True)
    (place / "ci.py").write_text(CI)
    env = {
        **os.environ,
        "PIPELINES_CACHE_BUDGET": "300",  # on a busy machine, too
        "PIPELINES_CACHE_MODE": "always",  # such small volumes are not worth it
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "XDG_CACHE_HOME": str(tmp_path / name / "cache"),
        "PIPELINES_CACHE_URL": str(tmp_path / "backend"),
        "PIPELINES_CACHE_SCOPE": "local",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli.main", "run", *words, "--progress", "json"],
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_six_machines_that_save_at_once_lose_nothing(tmp_path, monkeypatch):
    names = [f"job{number}" for number in range(JOBS)]
    jobs = [machine(tmp_path, name, "make", "--cell", name[3:]) for name in names]
    said = [job.communicate() for job in jobs]
    assert [job.returncode for job in jobs] == [0] * JOBS, said
    after = machine(tmp_path, "after", "every", "--cells", str(JOBS))
    output, progress = after.communicate()
    cells = "".join(f"{number}\n" for number in range(JOBS))
    assert output.rstrip() == f"{cells}--\n{cells}".rstrip(), progress
    events = [json.loads(line) for line in progress.splitlines() if line.startswith("{")]
    ran = [e["name"] for e in events if e["event"] == "exec" and e["state"] == "started"]
    assert len(ran) == 1, "only the listing is new"
    for name in (*names, "after"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name / "cache"))
        remove(tmp_path / name / "cache")
