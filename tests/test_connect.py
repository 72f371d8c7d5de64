"""Choosing an engine and connecting to it."""

import os
import sys

import anyio
import dagger
import pytest

from pipelines import EngineUnavailable, UsageError, connect
from pipelines._choose import choose
from pipelines._dagger import knowing_its_id
from pipelines._session import Session, environment
from tests import fake_engine
from tests.fake_engine import TOKEN, FakeEngine

FAKE = [sys.executable, fake_engine.__file__]


@pytest.mark.parametrize(
    ("engine", "environ", "system", "who"),
    [
        ("auto", {}, "linux", "embedded"),
        ("auto", {}, "darwin", "dagger"),
        ("dagger", {}, "linux", "dagger"),
        ("auto", {"DAGGER_SESSION_PORT": "1"}, "linux", "session"),
        ("dagger", {"DAGGER_SESSION_PORT": "1"}, "linux", "session"),
        ("auto", {"_EXPERIMENTAL_DAGGER_RUNNER_HOST": "x"}, "linux", "dagger"),
        ("embedded", {"_EXPERIMENTAL_DAGGER_RUNNER_HOST": "x"}, "linux", "embedded"),
    ],
)
def test_the_engine_is_chosen_by_the_rules(engine, environ, system, who):
    assert choose(engine, environ, system) == who


def test_a_wrong_engine_and_a_wrong_system_are_usage_errors():
    with pytest.raises(UsageError, match="auto, embedded, dagger"):
        choose("docker", {}, "linux")
    with pytest.raises(UsageError, match="needs Linux"):
        choose("embedded", {}, "darwin")


def test_a_session_is_started_used_and_ended():
    events = []
    session = Session.start(jobs=3, listen=events.append, program=FAKE)

    async def main():
        async with connect(session=session) as client:
            return await client.version()

    assert anyio.run(main) == "v0.21.8"
    assert session.process.returncode == 0
    assert {"event": "warning", "text": "jobs 3"} in events
    assert {"event": "stderr", "text": "last words"} in events


def test_two_connections_one_after_the_other_reach_their_own_engines():
    async def main():
        for _ in range(2):
            async with connect(session=Session.start(program=FAKE)) as client:
                assert await client.directory().entries() == []

    anyio.run(main)


def test_an_engine_that_does_not_start_says_why_in_its_own_words():
    program = [sys.executable, "-c", "import sys; sys.exit('error: no user namespaces')", "--"]

    async def main():
        async with connect(session=Session.start(program=program)):
            pass

    with pytest.raises(EngineUnavailable, match="no user namespaces") as caught:
        anyio.run(main)
    assert caught.value.exit_code == 5


def test_an_engine_that_dies_meanwhile_leaves_a_note():
    session = Session.start(program=FAKE)

    async def main():
        async with connect(session=session) as client:
            session.kill()
            await client.version()

    with pytest.raises(dagger.TransportError) as caught:
        anyio.run(main)
    assert "ended with exit code -9\n  last words" in caught.value.__notes__[0]


def test_an_engine_that_ignores_the_end_of_its_input_is_killed():
    program = [
        sys.executable,
        "-c",
        'import time; print(\'{"port": 1, "session_token": "t"}\', flush=True); time.sleep(3600)',
        "--",
    ]
    session = Session.start(program=program)
    session.address()
    session.close(grace=0.01)
    assert session.process.returncode == -9


def test_a_session_in_the_environment_is_used(monkeypatch):
    with FakeEngine().serving() as engine:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(engine.port))
        monkeypatch.setenv("DAGGER_SESSION_TOKEN", TOKEN)

        async def main():
            async with connect() as client:
                return await client.version()

        assert anyio.run(main) == "v0.21.8"


@pytest.mark.parametrize("port", ["many", "1"])
def test_a_session_in_the_environment_that_is_not_there_is_an_error(monkeypatch, port):
    monkeypatch.setenv("DAGGER_SESSION_PORT", port)
    monkeypatch.setenv("DAGGER_SESSION_TOKEN", "x")

    async def main():
        async with connect():
            pass

    with pytest.raises(EngineUnavailable):
        anyio.run(main)


def test_the_engines_process_finds_this_package():
    first = environment({"PYTHONPATH": "/else"})["PYTHONPATH"].split(os.pathsep)
    assert os.path.isfile(os.path.join(first[0], "pipelines", "__init__.py"))
    assert first[-1] == "/else"


def test_an_object_loaded_by_its_id_is_not_asked_for_it_again(monkeypatch):
    monkeypatch.setenv("DAGGER_SESSION_TOKEN", TOKEN)
    with FakeEngine().serving() as engine:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(engine.port))

        async def main():
            async with connect() as dag:
                loaded = await dag.container().sync()
                asked_for = await loaded.id()
                before = len(engine.spans)
                assert await knowing_its_id(loaded).id() == asked_for
                return len(engine.spans) - before

        assert anyio.run(main) == 0


def test_wrong_settings_of_caches_are_a_usage_error_before_anything_starts(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.pipelines.cache]\nulr = "/mnt"\n')
    with pytest.raises(UsageError, match="did you mean url"):
        Session.start(workdir=tmp_path, program=["/does/not/exist"])
