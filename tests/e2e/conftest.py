"""The real dagger-io client against the embedded engine, one store a test."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import connect
from pipelines._session import command, environment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend():
    return "asyncio"  # gql, below the SDK, knows nothing else


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Give every test a store of its own, and check it at the end."""
    root = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(root))
    monkeypatch.delenv("PIPELINES_CACHE_DIR", raising=False)
    yield root / "pipelines"
    if root.exists():
        verified = upkeep("verify")
        assert verified.returncode == 0, verified.stdout
        assert list((root / "pipelines" / "leases").iterdir()) == []
    with contextlib.suppress(FileNotFoundError):
        remove(root)


@pytest.fixture
async def dag(store):
    """Connect the SDK to an embedded session on this test's store."""
    async with connect(engine="embedded") as client:
        yield client


def upkeep(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("--cache", *arguments),
        env=environment(os.environ),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def remove(root: Path) -> None:
    """Delete a store; an ordinary user's has files of other ids in it."""
    upkeep("prune", "--all")
    shutil.rmtree(root, ignore_errors=os.geteuid() != 0)


def python(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**environment(os.environ), **env},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
