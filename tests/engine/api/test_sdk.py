"""The unmodified SDK, over HTTP, against the in-memory engine."""

import socket
from contextlib import asynccontextmanager

import anyio
import pytest

from pipelines.engine.api.query import answer
from pipelines.engine.server import Server

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@asynccontextmanager
async def connected(session, monkeypatch):
    async def answered(request):
        return await answer(session, request.query, request.variables, request.operation)

    async with anyio.create_task_group() as tasks:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        tasks.start_soon(Server(answered, "token").serve, listening)
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(port))
        monkeypatch.setenv("DAGGER_SESSION_TOKEN", "token")
        import dagger

        async with dagger.connection():
            yield dagger.dag
        tasks.cancel_scope.cancel()


@pytest.fixture
def drive(session, monkeypatch):
    """Run a coroutine function with a connected client."""

    def run(script):
        async def connect():
            async with connected(session, monkeypatch) as dag:
                return await script(dag)

        return anyio.run(connect)

    return run


def test_chains_objects_lists_and_enums_go_through_the_sdk(drive):
    import dagger

    async def script(dag):
        cache = dag.cache_volume("k", sharing=dagger.CacheSharingMode.LOCKED)
        tree = dag.directory().with_new_file("a", "x").with_new_file("b/c", "y")
        made = (
            dag.container()
            .from_("alpine")
            .with_mounted_cache("/c", cache)
            .with_directory("/x", tree, include=["a"])
            .with_files("/y", [tree.file("a"), dag.file("q", "z")])
            .with_secret_variable("T", dag.set_secret("n", "v"))
            .with_exec(["a"], expect=dagger.ReturnType.ANY)
        )
        synced = await made.sync()
        variables = await synced.env_variables()
        legacy = dag.load_container_from_id(dagger.ContainerID(await synced.id()))
        return {
            "stdout": await synced.stdout(),
            "variables": [await one.name() for one in variables],
            "glob": await made.rootfs().glob("[xy]/*"),
            "type": await tree.stat("b").file_type(),
            "none": await tree.find_up("zz", "b"),
            "user": await legacy.user(),
        }

    assert drive(script) == {
        "stdout": "printed\n",
        "variables": ["PATH", "LANG"],
        "glob": ["x/a", "y/a", "y/q"],
        "type": dagger.FileType.DIRECTORY,
        "none": None,
        "user": "app",
    }


def test_a_failed_command_is_the_sdks_exec_error(drive, engine):
    import dagger

    async def script(dag):
        with pytest.raises(dagger.ExecError) as caught:
            await dag.container().with_exec(["go", "build"]).sync()
        return caught.value

    engine.fails = 2
    error = drive(script)
    assert (error.exit_code, error.command, error.stderr) == (2, ["go", "build"], "err")


def test_what_is_not_supported_is_the_sdks_query_error(drive):
    import dagger

    async def script(dag):
        with pytest.raises(dagger.QueryError, match="withDefaultTerminalCmd is not supported"):
            await dag.container().with_default_terminal_cmd(["x"]).sync()

    drive(script)
