"""The leak gate: a test that runs commands leaves the machine as it found it.

For every test marked `sandbox` or `e2e`, mounts, descriptors, processes, network namespaces
and temporary files are compared before and after. Orphans of the test's children are adopted
(this process is a subreaper), so that a stray process can not hide below init.
"""

import contextlib
import ctypes
import gc
import glob
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A property is no less true on a busy machine.
settings.register_profile(
    "steady", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

GATED = ("sandbox", "e2e")
ROOMS = ("sandbox", "e2e", "parity", "slow")
GO = "tests/e2e/test_go"  # the files that begin so
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 5.0  # seconds that processes which were killed may take to be gone


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the engine of tests/parity here: an option below the root is not known in time."""
    parser.addoption("--engine", default="embedded", choices=("embedded", "dagger"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first, then those in the sandbox, then end to end, then the slow ones."""

    def room(item: pytest.Item) -> int:
        marks = [name for name in ROOMS if item.get_closest_marker(name)]
        return max((ROOMS.index(name) + 1 for name in marks), default=0)

    items.sort(key=room)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one process, and those of all files that share the store of Go."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "go" if file.startswith(GO) else file

    return Together(config, log)


@pytest.fixture(scope="session", autouse=True)
def adopt_orphans():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@pytest.fixture(scope="session", autouse=True)
def no_default_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the registry of names without a host refuse at once: no test talks to the outside."""
    path = tmp_path_factory.mktemp("registries") / "registries.conf"
    path.write_text('[[registry]]\nprefix = "docker.io"\nlocation = "127.0.0.1:1"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_REGISTRIES_CONF", str(path))
        yield


@pytest.fixture(scope="session", autouse=True)
def room_enough() -> Iterator[None]:
    """Let no store be swept because the disk of the machine is nearly full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINES_STORE_MIN_FREE", "0")
        patch.setenv("PIPELINES_STORE_MIN_FREE_INODES", "0")
        yield


@pytest.fixture(autouse=True)
def leak_gate(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    if not any(request.node.get_closest_marker(name) for name in GATED):
        yield
        return
    scratch = tmp_path_factory.mktemp("leaks")
    patch = pytest.MonkeyPatch()
    patch.setenv("TMPDIR", str(scratch))
    patch.setattr(tempfile, "tempdir", str(scratch))
    mounts, fds, children, nets = mounted(), descriptors(), offspring(), networks()
    yield
    patch.undo()
    gc.collect()
    assert reaped(children) == {}, "processes were left"
    assert networks() - nets == set(), "network namespaces were left"
    assert mounted() - mounts == set(), "mounts were left"
    assert descriptors() - fds == set(), "descriptors were left open"
    assert sorted(os.listdir(scratch)) == [], "temporary files were left"


def mounted() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def descriptors() -> set[tuple[str, str]]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add((fd, os.readlink(f"/proc/self/fd/{fd}")))
        except FileNotFoundError:
            continue  # the listing's own descriptor
    return found


def offspring() -> set[int]:
    """Every process below this one, zombies included."""
    below: dict[int, list[int]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        below.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        children = below.get(waiting.pop(), [])
        found.update(children)
        waiting += children
    return found


def networks() -> set[str]:
    """Every network namespace that a thread of this process or of one below it is in."""
    found = set()
    for pid in {os.getpid(), *offspring()}:
        for name in glob.glob(f"/proc/{pid}/task/*/ns/net"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(name))
    return found


def reaped(known: set[int]) -> dict[int, str]:
    """Collect new children that have ended; give the command lines of those that do not end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        for pid in offspring() - known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
        left = offspring() - known
        if not left or time.monotonic() > deadline:
            return {pid: command(pid) for pid in left}
        time.sleep(0.01)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "?"
