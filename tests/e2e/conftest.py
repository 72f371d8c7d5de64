"""The real dagger-io client against the embedded engine, one store a test."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import connect
from pipelines._session import Address, Session, command, environment
from pipelines.caches import signals

ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend():
    return "asyncio"  # gql, below the SDK, knows nothing else


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    """Be a machine that is no CI, wherever the tests run: a CI decides what caches may write."""
    for name in (*signals.OTHERS, "GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


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


def ask(address: Address, query: str) -> None:
    """Ask a session by hand; one that dies meanwhile answers nothing."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{address.port}/query",
        json.dumps({"query": query}).encode(),
        {"Authorization": "Basic " + base64.b64encode(f"{address.token}:".encode()).decode()},
    )
    with contextlib.suppress(OSError), urllib.request.urlopen(request) as answer:
        answer.read()


class Heard(list[dict[str, Any]]):
    """The events of a session."""

    def execs(self, state: str) -> list[str]:
        """The commands that started, finished or were answered by a record, sorted."""
        told = [e["name"] for e in self if e["event"] == "exec" and e["state"] == state]
        return sorted(told)

    @property
    def ran(self) -> list[str]:
        return self.execs("started")


@pytest.fixture
def session(store):
    """Open one more session on the test's store: gives the client and what it tells."""

    @contextlib.asynccontextmanager
    async def opened(**options):
        heard = Heard()
        async with connect(session=Session.start(listen=heard.append, **options)) as dag:
            yield dag, heard

    return opened


@contextlib.contextmanager
def lasting(root: Path) -> Iterator[Path]:
    """Give several tests one store, checked and removed after the last."""
    yield root
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root))
        verified = upkeep("verify")
        remove(root)
    assert verified.returncode == 0, verified.stdout


@pytest.fixture(scope="session")
def go_store(tmp_path_factory):
    """One store for every test of Go: its image and the standard library are made once."""
    with lasting(tmp_path_factory.mktemp("go-store")) as root:
        yield root


@pytest.fixture
def go_version(go_store, monkeypatch):
    """The version of the host's Go, whose image needs no download; the store is set."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(go_store))
    monkeypatch.delenv("PIPELINES_CACHE_DIR", raising=False)
    if (program := shutil.which("go")) is None:
        pytest.skip("no Go on this host: its image would have to be downloaded")
    found = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True)
    return found.stdout.strip().removeprefix("go")


@pytest.fixture
def source(request, go_version, tmp_path):
    """The files of `MODULE` of the test's file; `{version}` is that of Go."""
    root = tmp_path / "source"
    for name, text in request.module.MODULE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.replace("{version}", go_version))
    return root
