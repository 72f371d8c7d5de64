"""Stages: names, deadlines, retries, forcing."""

import inspect

import anyio
import dagger
import pytest

from pipelines import Platform, StageTimeout, UsageError, connect, gather, stage
from pipelines._spans import recorded
from pipelines._stage import is_stage
from tests.fake_engine import TOKEN, FakeEngine


class Recorder:
    def __init__(self):
        self.spans, self.errors = [], []

    def opened(self, span):
        self.spans.append(span)

    def noted(self, span, note):
        pass

    def closed(self, span, error):
        self.errors.append(error)


def played(fn, *args):
    recorder = Recorder()

    async def main():
        with recorded(recorder):
            return await fn(*args)

    return anyio.run(main), recorder


@pytest.mark.parametrize(
    ("options", "said"),
    [({"timeout": "5m"}, "timeout is seconds"), ({"retries": "2"}, "retries is how often")],
)
def test_a_number_that_is_none_is_wrong_use_where_it_is_written(options, said):
    with pytest.raises(UsageError, match=said):
        stage(**options)


def test_a_stage_is_an_async_function_of_the_same_signature():
    @stage(timeout=5)
    async def build(source: int, *, fast: bool = True) -> str:
        """Build it."""

    assert inspect.iscoroutinefunction(build)
    assert str(inspect.signature(build)) == "(source: int, *, fast: bool = True) -> str"
    assert (build.__name__, build.__doc__) == ("build", "Build it.")
    assert is_stage(build)


def test_a_stage_that_is_too_slow_is_cancelled_and_named():
    cancelled = []

    @stage(timeout=0.01)
    async def crawl():
        try:
            await anyio.sleep(3600)
        finally:
            cancelled.append(True)

    with pytest.raises(StageTimeout, match=r"stage crawl did not end within 0\.01 s") as caught:
        anyio.run(crawl)
    assert cancelled
    assert caught.value.exit_code == 4


def test_only_a_broken_connection_is_tried_again(monkeypatch):
    monkeypatch.setattr("pipelines._stage._FIRST_PAUSE", 0)
    tries = []

    @stage(retries=2)
    async def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise dagger.TransportError("gone")
        return "there"

    @stage(retries=2)
    async def red():
        tries.append(1)
        raise ValueError

    assert anyio.run(flaky) == "there"
    tries.clear()
    with pytest.raises(ValueError):
        anyio.run(red)
    assert len(tries) == 1


def test_a_failed_command_is_never_tried_again(monkeypatch):
    monkeypatch.setenv("DAGGER_SESSION_TOKEN", TOKEN)

    @stage(retries=3)
    async def test():
        return dagger.dag.container().with_exec(["false"])

    with FakeEngine(failing=[["false"]]).serving() as engine:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(engine.port))

        async def main():
            async with connect():
                await test()

        with pytest.raises(dagger.ExecError):
            anyio.run(main)
        assert len(engine.forced) == 1


def test_a_returned_object_is_forced_and_its_queries_carry_the_stages_span(monkeypatch):
    monkeypatch.setenv("DAGGER_SESSION_TOKEN", TOKEN)

    @stage
    async def build():
        return dagger.dag.directory().with_new_file("a", "b")

    with FakeEngine().serving() as engine:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(engine.port))

        async def main():
            async with connect():
                await build()

        _, recorder = played(main)
        assert engine.forced == ["directory.withNewFile(path='a', contents='b')"]
        assert recorder.spans[0].id == engine.spans[-1]


def test_the_cell_is_named_by_gather_else_by_the_platform():
    @stage
    async def build(platform):
        return 1

    async def main():
        await gather({"one": build(Platform("linux", "amd64"))})
        await build(Platform("linux", "arm64"))

    _, recorder = played(main)
    assert [span.label for span in recorder.spans] == ["build[one]", "build[linux/arm64]"]


def test_a_stage_inside_knows_its_parent_but_not_its_cell():
    @stage
    async def inner():
        return 1

    @stage
    async def outer():
        return await inner()

    _, recorder = played(lambda: gather({"x": outer()}))
    first, second = recorder.spans
    assert (first.label, second.label) == ("outer[x]", "inner")
    assert second.parent == first.id
    assert second.id != first.id


def test_a_failure_is_recorded_with_the_stage():
    @stage
    async def red():
        raise ValueError("no")

    recorder = Recorder()

    async def main():
        with recorded(recorder):
            await red()

    with pytest.raises(ValueError):
        anyio.run(main)
    assert isinstance(recorder.errors[0], ValueError)
