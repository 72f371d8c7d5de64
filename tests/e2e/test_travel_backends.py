"""Two machines and a backend that is a server: what travels, and what its faults cost."""

import time
from dataclasses import replace

import pytest

from pipelines import connect
from pipelines._session import Session
from tests.caches.backends import serving
from tests.caches.transports.faulty import proxy
from tests.e2e.conftest import Heard, remove

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.sandbox,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

BUILD = ["sh", "-c", "cat /src/a.txt > /out; echo built >> /out"]


@pytest.fixture(scope="module", params=["s3", "oci"])
def servers(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as servers:
        yield servers


async def build(root, backend, monkeypatch, name, budget="60s"):
    """Run a stage on a machine of this name; give its output and the session's events."""
    for variable, value in backend.environ.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PIPELINES_CACHE_URL", backend.url)
    monkeypatch.setenv("PIPELINES_CACHE_PROJECT", "test")
    monkeypatch.setenv("PIPELINES_CACHE_MODE", "always")
    monkeypatch.setenv("PIPELINES_CACHE_BUDGET", budget)
    source = root / name / "checkout"
    source.mkdir(parents=True)
    (source / "a.txt").write_text("a\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / name / "cache"))
    heard = Heard()
    async with connect(session=Session.start(listen=heard.append, workdir=root / name)) as dag:
        box = dag.container().from_("busybox")
        box = box.with_directory("/src", dag.host().directory(str(source)))
        out = await box.with_exec(BUILD).file("/out").contents()
    remove(root / name / "cache")
    return out, heard


async def test_a_server_carries_results_and_its_faults_change_nothing(
    servers, tmp_path, monkeypatch
):
    backend = servers.give()
    first, _ = await build(tmp_path, backend, monkeypatch, "first")
    second, heard = await build(tmp_path, backend, monkeypatch, "second")
    assert (first, second) == ("a\nbuilt\n", "a\nbuilt\n")
    assert heard.ran == []
    port = servers.server.port
    with proxy(port) as (state, other):
        through = replace(backend, url=backend.url.replace(f":{port}", f":{other}"))
        for at, fault in ((0, "hang"), (2, "garble")):
            state.arm(at, fault, dead=True)
            began = time.monotonic()
            out, _ = await build(tmp_path, through, monkeypatch, f"{fault}-{at}", "3s")
            assert out == first, fault
            assert state.count > at, fault
            assert time.monotonic() - began < 30, fault
