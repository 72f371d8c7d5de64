import os
import subprocess
import sys
import textwrap
from pathlib import Path

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


@pytest.fixture(scope="session")
def owners():
    """Whether files can be given to others here: as root, with more than one id."""
    mapped = Path("/proc/self/uid_map").read_text().split()
    return os.geteuid() == 0 and int(mapped[2]) > 1000


@pytest.fixture
def files(layout, owners):
    return Files(layout, owners=owners)


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
layout, owners = Layout.open(Path(sys.argv[1])), sys.argv[2] == "True"
"""


@pytest.fixture
def other(layout, owners):
    """Start another process on the same store; what is left running is killed at the end."""
    started = []

    def start(code, env=None, before=()):
        source = _PRELUDE + textwrap.dedent(code)
        command = [*before, sys.executable, "-c", source, str(layout.root), str(owners)]
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
