"""Machines that share nothing but a backend and a Dagger engine; their volumes are always new."""

import contextlib
import os
import time
import uuid

import pytest

from pipelines import connect
from tests.parity.box import busybox, fill
from tests.parity.conftest import VARIABLES

SH = ["sh", "-c"]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Give a root filesystem of one static busybox."""
    if unset := [name for name in VARIABLES if not os.environ.get(name)]:
        pytest.skip(f"no Dagger engine: {' and '.join(unset)} not set")
    program = busybox()
    if program is None:
        pytest.skip("no static busybox: install Debian's busybox-static")
    made = tmp_path_factory.mktemp("busybox")
    fill(made, program)
    return made


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """Give the directory that all machines share."""
    monkeypatch.setenv("PIPELINES_CACHE_URL", str(tmp_path / "shared"))
    monkeypatch.setenv("PIPELINES_CACHE_PROJECT", "test")
    monkeypatch.setenv("PIPELINES_CACHE_MODE", "always")  # such small volumes are not worth it
    monkeypatch.setenv("PIPELINES_CACHE_RESULTS", "false")  # volumes alone: to count their packs
    monkeypatch.setenv("PIPELINES_CACHE_SCOPE", "trusted")
    return tmp_path / "shared"


@pytest.fixture
def run(root, backend, tmp_path, monkeypatch):
    """Give a function that runs a command with a volume at /v, on a machine and an engine."""

    @contextlib.asynccontextmanager
    async def connected(engine, machine):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        async with connect(engine, workdir=tmp_path) as dag:
            yield dag, dag.container().with_rootfs(dag.host().directory(str(root)))

    async def ran(engine, machine, key, command):
        async with connected(engine, machine) as (dag, box):
            mounted = box.with_mounted_cache("/v", dag.cache_volume(key))
            now = mounted.with_env_variable("NOW", str(time.time()))
            return await now.with_exec([*SH, f"cd /v; {command}"]).stdout()

    ran.connected = connected
    return ran


@pytest.fixture
def key():
    """Name a volume that nobody has."""
    return f"test-{uuid.uuid4().hex}"
