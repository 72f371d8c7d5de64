"""Outputs and caches, as chains."""

import anyio
import dagger
import pytest

from pipelines import Cache, EmptyMatrix, Platform, UsageError, connect, dist, mount
from pipelines._outputs import folder
from tests.fake_engine import TOKEN, FakeEngine


def forced(monkeypatch, make):
    monkeypatch.setenv("DAGGER_SESSION_TOKEN", TOKEN)
    with FakeEngine().serving() as engine:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(engine.port))

        async def main():
            async with connect():
                await make().sync()

        anyio.run(main)
        return engine.forced[-1]


def test_every_cell_gets_a_directory(monkeypatch):
    cells = {Platform("linux", "arm", "v6"): "a", "b": "c"}
    make = lambda: dist({k: dagger.dag.directory().with_new_file(v, v) for k, v in cells.items()})
    chain = forced(monkeypatch, make)
    assert "withDirectory(path='linux-arm-v6', source=<directory.withNewFile(path='a'" in chain
    assert "withDirectory(path='b'" in chain


def test_nothing_to_put_together_is_an_error():
    with pytest.raises(EmptyMatrix, match="filtered out"):
        dist({})


def test_two_cells_never_share_a_directory():
    with pytest.raises(UsageError, match="would both go to a-b/"):
        dist({"a/b": dagger.dag.directory(), "a-b": dagger.dag.directory()})


@pytest.mark.parametrize("cell", ["..", "/", ""])
def test_a_cell_never_leaves_the_directory(cell):
    with pytest.raises(UsageError):
        folder(cell)


def test_a_cache_is_mounted_with_its_sharing(monkeypatch):
    cache = Cache("k", "/c", "locked")
    chain = forced(monkeypatch, lambda: dagger.dag.container().with_(mount(cache)))
    assert chain == (
        "container.withMountedCache(path='/c', cache=<cacheVolume(key='k')>, sharing='LOCKED')"
    )
