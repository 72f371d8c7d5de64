"""Who needs a service, and for how long: with services that only pretend to run."""

from dataclasses import dataclass, field

import anyio
import pytest

from pipelines.engine.errors import ExecFailed, ServiceFailed
from pipelines.engine.op import Binding, HostService
from pipelines.engine.run.services import Services, watched

pytestmark = pytest.mark.anyio

DB, WEB = HostService("localhost", (), "db"), HostService("localhost", (), "web")


@dataclass
class Pretender:
    """Runs services: counts starts and ends; `dies` and `late` say what goes wrong."""

    started: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    dies: anyio.Event = field(default_factory=anyio.Event)
    refuses: bool = False
    late: bool = False

    async def __call__(self, live):
        self.started.append(live.name)
        try:
            if self.refuses:
                raise ServiceFailed("no such command")
            if not self.late:
                live.settled.set()
            async with anyio.create_task_group() as group:
                group.start_soon(self._die, group.cancel_scope)
                await live.stopping.wait()
                group.cancel_scope.cancel()
            if self.dies.is_set():
                raise ServiceFailed(f"service {live.name} exited with code 3")
        finally:
            self.ended.append(live.name)

    async def _die(self, scope):
        await self.dies.wait()
        scope.cancel()


@pytest.fixture
def serve():
    return Pretender()


async def test_holders_at_once_start_it_once(serve):
    async with Services().open(serve) as services, anyio.create_task_group() as group:

        async def hold():
            async with services.hold(DB):
                await anyio.sleep(0)

        for _ in range(5):
            group.start_soon(hold)
    assert serve.started == ["db"]


async def test_it_is_kept_for_a_while_after_its_last_use(serve):
    async with Services(kept=60).open(serve) as services:
        for _ in range(2):
            async with services.hold(DB):
                pass
        assert (serve.started, serve.ended) == (["db"], [])
    assert serve.ended == ["db"]


async def test_then_it_is_stopped_and_the_next_starts_it_anew(serve):
    async with Services(kept=0).open(serve) as services:
        async with services.hold(DB) as live:
            pass
        await live.over.wait()
        async with services.hold(DB):
            assert serve.started == ["db", "db"]


async def test_one_that_failed_is_tried_again(serve):
    async with Services().open(serve) as services:
        serve.refuses = True
        with pytest.raises(ServiceFailed, match="no such command"):
            async with services.hold(DB):
                pass
        serve.refuses = False
        async with services.hold(DB):
            assert len(serve.started) == 2


async def test_one_that_is_not_ready_is_stopped_when_nobody_waits_any_more(serve):
    serve.late = True
    async with Services(kept=60).open(serve) as services:
        with anyio.move_on_after(0.01):
            async with services.hold(DB):
                raise AssertionError("it never was ready")
        with anyio.fail_after(5):
            while not serve.ended:
                await anyio.sleep(0)


async def test_a_started_one_lives_until_it_is_stopped(serve):
    async with Services(kept=0).open(serve) as services:
        live = await services.start(DB)
        assert await services.start(DB) is live
        await anyio.sleep(0.01)
        assert services.find(DB) is live
        await services.stop(DB)
        assert services.find(DB) is None
        assert serve.ended == ["db"]


async def test_stopping_what_does_not_run_does_nothing(serve):
    async with Services().open(serve) as services:
        await services.stop(DB)
    assert serve.started == []


async def test_bindings_start_side_by_side(serve):
    async with Services().open(serve) as services:
        async with services.bound([Binding("a", DB), Binding("b", WEB)]) as bound:
            assert [(alias, live.name) for alias, live in bound] == [("a", "db"), ("b", "web")]


async def test_a_command_is_cancelled_when_its_service_dies(serve):
    async with Services().open(serve) as services, services.hold(DB) as live:
        with pytest.raises(ServiceFailed, match="exited with code 3") as caught:
            async with watched([live]):
                serve.dies.set()
                await anyio.sleep(60)
    assert "while a command was using it" in str(caught.value)


async def test_a_command_that_fails_with_its_service_names_both(serve):
    async with Services().open(serve) as services, services.hold(DB) as live:
        with pytest.raises(ServiceFailed, match="exited with code 3") as caught:
            async with watched([live]):
                serve.dies.set()
                raise ExecFailed(("psql",), 2, "", "gone")
    assert "'psql': exit code: 2" in str(caught.value)


async def test_a_command_that_fails_by_itself_is_its_own_error(serve):
    async with Services().open(serve) as services, services.hold(DB) as live:
        with pytest.raises(ExecFailed):
            async with watched([live]):
                raise ExecFailed(("psql",), 2, "", "")


async def test_the_end_of_the_session_asks_before_it_kills(serve):
    with anyio.CancelScope() as session:
        async with Services(grace=60).open(serve) as services:
            live = await services.start(DB)
            session.cancel()
            await anyio.sleep(60)
    assert live.stopping.is_set()
    assert not live.scope.cancel_called
