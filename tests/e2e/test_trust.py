"""`cache="verify"` and `"off"`: what is cached does not count."""

import dagger
import pytest

from pipelines import connect
from pipelines._errors import UsageError
from pipelines._session import Session
from pipelines._stage import stage
from pipelines.cli.failures import exit_code
from tests.e2e.conftest import Heard

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

RANDOM = "head -c 9 /dev/urandom | base64"
SAME = f"echo same > /same; {RANDOM} > /besides"
OTHER = f"{RANDOM} > /other"


@pytest.fixture
def run(store):
    """Run a script in a session that believes so much; give a file, and the commands that ran."""

    async def made(cache, script, path):
        heard = Heard()
        async with connect(session=Session.start(listen=heard.append, cache=cache)) as dag:
            box = dag.container().from_("busybox").with_mounted_cache("/c", dag.cache_volume("c"))
            text = await box.with_exec(["sh", "-c", script]).file(path).contents()
        return text, len(heard.ran)

    return made


async def test_off_makes_everything_anew(run):
    assert await run("use", SAME, "/same") == ("same\n", 1)
    assert await run("use", SAME, "/same") == ("same\n", 0)
    assert await run("off", SAME, "/same") == ("same\n", 1)


async def test_verify_accepts_what_comes_out_the_same(run):
    await run("use", SAME, "/same")
    assert await run("verify", SAME, "/same") == ("same\n", 1)


async def test_verify_ends_with_exit_code_7_where_something_else_comes_out(run):
    await run("use", OTHER, "/other")
    with pytest.raises(dagger.QueryError, match="other: recorded") as failed:
        await run("verify", OTHER, "/other")
    assert exit_code(failed.value) == 7


async def test_volumes_are_empty_where_nothing_cached_counts(run):
    script = "ls /c > /seen; echo x > /c/left"
    assert await run("use", script, "/seen") == ("", 1)
    assert await run("use", script + " ", "/seen") == ("left\n", 1)
    assert await run("off", script, "/seen") == ("", 1)


async def test_a_stage_may_demand_it(store):
    @stage(cache="verify")
    async def release() -> str:
        return "released"

    async with connect(engine="embedded"):
        with pytest.raises(UsageError, match="--cache verify"):
            await release()
    async with connect(engine="embedded", cache="verify"):
        assert await release() == "released"
