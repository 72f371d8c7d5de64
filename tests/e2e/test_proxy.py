"""`pipelines run --proxy`: commands reach it, through an outage, and no key knows of it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox]

LIST = "example.com/leaf/@v/list"
INFO = "example.com/leaf/@v/v1.0.0.info"
CI = """
from dagger import dag

async def ask(path: str, nonce: str = "") -> str:
    box = dag.container().from_("busybox").with_env_variable("NONCE", nonce)
    ask = f'wget -q -O - "${{GOPROXY%%,*}}/{path}"'
    return await box.with_exec(["sh", "-c", ask]).stdout()
"""


@pytest.fixture
def upstream(tmp_path):
    place = tmp_path / "upstream"
    (place / LIST).parent.mkdir(parents=True)
    (place / LIST).write_text("v1.0.0\n")
    (place / INFO).write_text(json.dumps({"Version": "v1.0.0"}))
    return place


@pytest.fixture
def ask(store, tmp_path, upstream):
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "ci.py").write_text(CI)

    def run(path, *more):
        return subprocess.run(
            [
                *(sys.executable, "-m", "pipelines.cli.main", "run", "ask", "--path", path),
                *(*more, "--proxy", "--progress", "json"),
            ],
            cwd=tmp_path / "repository",
            env={**os.environ, "PYTHONPATH": os.getcwd(), "GOPROXY": f"file://{upstream},direct"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    return run


def execs(ran, state):
    events = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    return [each for each in events if each["event"] == "exec" and each["state"] == state]


def test_commands_reach_the_proxy_which_stays_outside_of_keys(ask, upstream):
    first = ask(INFO)
    assert first.stdout.strip() == '{"Version": "v1.0.0"}', first.stderr
    assert execs(first, "started")
    again = ask(INFO)  # another port, the same key
    assert again.stdout == first.stdout
    assert not execs(again, "started")
    shutil.rmtree(upstream)
    outage = ask(INFO, "--nonce", "1")
    assert outage.stdout == first.stdout
    assert execs(outage, "started")
