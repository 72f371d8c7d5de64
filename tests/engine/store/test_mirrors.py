"""Mirrors: one user at a time, listed, collected when nobody has them."""

import os
import time

import anyio
import pytest

from pipelines.engine.store.layout import Layout
from pipelines.engine.store.mirrors import Download, Downloads, Mirrors
from pipelines.engine.store.policy import Policy
from pipelines.engine.store.sweep import Parts, sweep

NOTHING = Policy(0, 0, 0, 0)


@pytest.mark.anyio
async def test_a_mirror_is_held_by_one_at_a_time(layout):
    order = []

    async def use(name):
        async with Mirrors(Layout(layout.root)).open("https://h/x"):
            order.append(f"{name} in")
            await anyio.sleep(0.01)
            order.append(f"{name} out")

    async with anyio.create_task_group() as group:
        for name in "ab":
            group.start_soon(use, name)
    assert [one.split()[1] for one in order] == ["in", "out", "in", "out"]


@pytest.mark.anyio
async def test_a_mirror_goes_only_when_nobody_has_it(layout):
    mirrors = Mirrors(layout)
    async with mirrors.open("https://h/x") as home:
        (home / "shallow.git").mkdir()
        (found,) = mirrors.list(sizes=True)
        assert (found.url, found.size > 0) == ("https://h/x", True)
        assert not mirrors.remove(found.id)
        mirrors.empty(home)
        assert not (home / "shallow.git").exists()
    assert mirrors.remove(found.id)
    assert list(mirrors.list()) == []
    assert not mirrors.remove(found.id)


@pytest.mark.anyio
async def test_a_sweep_takes_mirrors_and_downloads_by_age(layout, records, blobs, files, volumes):
    class NoLayers:
        def layers(self):
            return iter(())

    parts = Parts(layout, records, blobs, files, volumes, NoLayers())
    async with Mirrors(layout).open("https://h/x") as home:
        (home / "f").write_bytes(b"x" * 10000)
    Downloads(layout).put("a" * 64, Download("https://h/f", "b" * 64, 1))
    sweep(parts, Policy(0, 1 << 50, 0, 0), time.time())
    assert [m.url for m in Mirrors(layout).list()] == ["https://h/x"]
    swept = sweep(parts, NOTHING)
    assert swept.freed >= 10000
    assert list(Mirrors(layout).list()) == []
    assert list(Downloads(layout).list()) == []


def test_what_is_known_of_a_download_is_kept(layout):
    downloads = Downloads(layout)
    assert downloads.get("a" * 64) is None
    known = Download("https://h/f", "b" * 64, 5, '"e"', "Mon")
    downloads.put("a" * 64, known)
    assert downloads.get("a" * 64) == known
    (layout.http / f"{'a' * 64}.json").write_text("{")
    assert downloads.get("a" * 64) is None
    assert os.listdir(layout.http) == [f"{'a' * 64}.json"]
