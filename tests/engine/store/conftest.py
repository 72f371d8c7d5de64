import subprocess
import sys
import textwrap

import pytest

from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.records import Records
from pipelines.engine.store.volumes import Volumes


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def layout(tmp_path):
    return Layout.open(tmp_path / "store")


@pytest.fixture
def blobs(layout):
    return Blobs(layout)


@pytest.fixture
def files(layout):
    return Files(layout)


@pytest.fixture
def volumes(layout):
    return Volumes(layout)


@pytest.fixture
def layers():
    """The layers that the fake snapshotter has."""
    return {"a" * 64, "b" * 64}


@pytest.fixture
def records(layout, layers):
    opened = Records(layout, layers.__contains__)
    yield opened
    opened.close()


_PRELUDE = """
import os, sys, time, anyio
from pathlib import Path
from pipelines.engine.digest import Digest, digest_bytes
from pipelines.engine.op import CacheVolume
from pipelines.engine.result import Ran, Snapshot
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.locks import Locks
from pipelines.engine.store.records import Records
from pipelines.engine.store.volumes import Volumes
from pipelines.engine.tree import Entry, Tree
layout = Layout.open(Path(sys.argv[1]))
"""


@pytest.fixture
def other(layout):
    """Start another process on the same store; what is left running is killed at the end."""
    started = []

    def start(code, env=None, before=()):
        source = _PRELUDE + textwrap.dedent(code)
        command = [*before, sys.executable, "-c", source, str(layout.root)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **(env or {})},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
