"""Eight savers at once, each a process of its own: what every one of them saved is there."""

import os
import subprocess
import sys
from functools import reduce
from pathlib import Path

import anyio.to_thread
import pytest

from pipelines.caches import generation
from pipelines.caches.heads import Heads
from pipelines.caches.merging import merge
from pipelines.caches.restoring import restore
from tests.caches.backends import KINDS, serving
from tests.caches.saver import KEY

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).resolve().parents[2]
SAVERS = 8


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module", params=KINDS)
def servers(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as servers:
        yield servers


async def test_the_union_of_eight_savers_is_there(servers, tmp_path):
    backend = servers.give()
    environ = {**os.environ, **backend.environ}
    command = [sys.executable, "-m", "tests.caches.saver", backend.url, str(SAVERS), tmp_path]
    saving = await anyio.to_thread.run_sync(lambda: subprocess.run(command, cwd=ROOT, env=environ))
    assert saving.returncode == 0

    transport = backend.open()
    found = await Heads(transport, ("trusted",), None).find(KEY)
    every = [await generation.load(transport, d) for d in (found.generation, *found.others)]
    (tmp_path / "out").mkdir()
    await restore(transport, reduce(merge, every), "", tmp_path / "out")
    await transport.aclose()
    assert sorted(os.listdir(tmp_path / "out")) == [*(f"own-{n}" for n in range(SAVERS)), "shared"]
    assert (tmp_path / "out/own-7").read_bytes() == b"7" * 1000
