"""The README's example, word for word, runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ci.binaries import scan

ROOT = Path(__file__).resolve().parent.parent
MODULE = {
    "go.mod": "module example.com/hello\n\ngo 1.26\n",
    "cmd/hello/main.go": 'package main\n\nfunc main() { println("hello") }\n',
    "cmd/hello/main_test.go": (
        'package main\n\nimport "testing"\n\nfunc TestNothing(t *testing.T) { t.Log("ran") }\n'
    ),
}


def example() -> str:
    """The README's first python block."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def project(tmp_path):
    for name, text in (MODULE | {"ci.py": example()}).items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "project"


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {
        "XDG_CACHE_HOME": str(project.parent / "cache"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, "-P", "-m", "pipelines.cli.main", *words]
    return subprocess.run(
        command, cwd=project, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def test_the_example_fits_the_page():
    lines = [line for line in example().splitlines() if line.strip()]
    assert len(lines) <= 22


@pytest.mark.e2e
def test_the_stages_of_the_example_are_listed(project):
    listed = run(project, "list")
    assert listed.returncode == 0, listed.stderr
    assert {line.split()[0] for line in listed.stdout.splitlines()} == {"test", "build", "release"}


@pytest.mark.e2e
@pytest.mark.sandbox
@pytest.mark.slow
def test_the_example_builds_six_platforms_and_the_second_run_builds_nothing(project):
    first = run(project, "run", "release", "--export", "dist")
    assert first.returncode == 0, first.stderr
    built = {name: platform for name, platform, _ in scan(project / "dist")}
    assert built == {
        f"{os_}-{arch}/hello{'.exe' if os_ == 'windows' else ''}": f"{os_}/{arch}"
        for os_ in ("linux", "darwin", "windows")
        for arch in ("amd64", "arm64")
    }
    again = run(project, "run", "release", "--export", "dist")
    assert again.returncode == 0, again.stderr
    assert "cached" in again.stderr
    assert not re.search(r"\bran [1-9]", again.stderr), again.stderr
