"""One session for all cases, on the engine that `--engine` names."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dagger
import pytest
from dagger.client._core import Context

from pipelines import connect
from tests.conftest import mounted, offspring, reaped
from tests.e2e.conftest import remove, upkeep
from tests.parity.box import busybox, fill
from tests.parity.case import Case, Given
from tests.webserver import Reply, web

VARIABLES = ("_EXPERIMENTAL_DAGGER_RUNNER_HOST", "_EXPERIMENTAL_DAGGER_CLI_BIN")


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> str:
    asked = str(request.config.getoption("--engine"))
    if asked == "dagger" and (unset := [name for name in VARIABLES if not os.environ.get(name)]):
        pytest.skip(f"no Dagger engine: {' and '.join(unset)} not set")
    return asked


@pytest.fixture(scope="module")
def store(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the embedded engine a store of its own; check it and the machine at the end."""
    if engine != "embedded":
        yield
        return
    root = tmp_path_factory.mktemp("parity") / "cache"
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(root))
    patch.delenv("PIPELINES_CACHE_DIR", raising=False)
    children = offspring()
    yield
    assert reaped(children) == {}, "processes were left"
    assert [line for line in mounted() if str(root) in line] == [], "mounts were left"
    verified = upkeep("verify")
    with contextlib.suppress(FileNotFoundError):
        remove(root)
    patch.undo()
    assert verified.returncode == 0, verified.stdout


@pytest.fixture(scope="module")
async def dag(engine: str, store: None) -> AsyncIterator[dagger.Client]:
    async with connect(engine=engine) as client:
        yield client


@pytest.fixture(scope="module")
async def box(dag: dagger.Client, tmp_path_factory: pytest.TempPathFactory) -> dagger.Container:
    program = busybox()
    if program is None:
        pytest.skip("no static busybox: install Debian's busybox-static")
    root = tmp_path_factory.mktemp("busybox")
    fill(root, program)
    made = dag.container().with_rootfs(dag.host().directory(str(root)))
    return await made.sync()


@pytest.fixture
def given(dag: dagger.Client, box: dagger.Container, tmp_path: Path) -> Given:
    return Given(dag, box, tmp_path)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Tell which fields the SDK asks for, as `Type.field`."""
    seen: set[str] = set()
    execute = Context.execute

    async def told(context, *arguments):
        for one in context.selections:
            seen.add(f"{one.type_name}.{one.name}")
            seen.update(f"{child.type_name}.{child.name}" for child in one.children.values())
        return await execute(context, *arguments)

    monkeypatch.setattr(Context, "execute", told)
    return seen


@pytest.fixture(scope="module")
async def loopback(dag: dagger.Client) -> bool:
    """Tell whether the engine reaches servers of this test run: one in a container does not."""
    with web() as server:
        server.pages["/"] = Reply(body=b"reached")
        try:
            return await dag.http(f"{server.url}/", name="f").contents() == "reached"
        except dagger.QueryError:
            return False


@pytest.fixture
def lacking(one: Case, loopback: bool) -> list[str]:
    """Say what a case needs and this machine has not."""
    asked = set(one.needs)
    gone = [name for name in sorted(asked - {"loopback"}) if shutil.which(name) is None]
    if "loopback" in asked and not loopback:
        gone.append("a loopback that the engine shares with the tests")
    return gone
