import pytest

from pipelines.engine import upkeep
from pipelines.engine.accounts import Wanted
from pipelines.engine.digest import digest_json
from pipelines.engine.errors import StoreError
from pipelines.engine.op import CacheVolume
from pipelines.engine.result import Ran
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.records import Records
from pipelines.engine.store.volumes import Volumes

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def layout(tmp_path):
    return Layout.open(tmp_path / "store")


def record(layout, name, size):
    blobs, records = Blobs(layout), Records(layout, lambda _layer: True)
    streams = [blobs.put(bytes([n]) * size) for n in (len(name), 0, 0)]
    records.put([digest_json([name])], Ran({}, 0, *streams), "Exec")
    records.close()


def held(layout, since=0.0):
    return upkeep.holdings(layout, owners=False, since=since)


async def test_shared_content_is_counted_once_and_sizes_add_up(layout):
    record(layout, "a", 8192)
    record(layout, "bb", 8192)
    async with Volumes(layout).open(CacheVolume("go", "ns")) as path:
        (path / "f").write_bytes(b"x" * 10_000)
    found = held(layout)
    assert sum(one.size for one in found if one.kind == "regular") == 3 * 8192
    assert [one.description for one in found if one.kind == "exec.cachemount"] == ["volume ns/go"]


async def test_what_was_used_since_the_session_began_is_busy(layout):
    record(layout, "a", 10)
    assert [one.busy for one in held(layout, since=0.0)] == [True]
    assert [one.busy for one in held(layout, since=2e12)] == [False]


def test_a_prune_without_limits_takes_everything(layout):
    record(layout, "a", 8192)
    assert upkeep.prune(layout, Wanted(everything=True), owners=False, lease=None)
    assert held(layout) == []


def test_a_prune_keeps_what_it_is_told_to_keep(layout):
    record(layout, "a", 8192)
    for wanted in (
        Wanted(everything=True, reserved="1GB"),
        Wanted(everything=True, maximum="1GB"),
        Wanted(everything=False),
        Wanted(everything=False, maximum="1GB", target="0"),
    ):
        assert upkeep.prune(layout, wanted, owners=False, lease=None)
        assert len(held(layout)) == 1, wanted


def test_a_target_is_reached_once_the_maximum_is_passed(layout):
    record(layout, "a", 8192)
    record(layout, "bb", 8192)
    wanted = Wanted(everything=False, maximum="12K", target="10K", reserved="0")
    assert upkeep.prune(layout, wanted, owners=False, lease=None)
    assert sum(one.size for one in held(layout)) <= 10 * 1024


def test_another_session_keeps_content(layout):
    record(layout, "a", 10)
    with Lease.take(layout) as own, Lease.take(layout):
        assert not upkeep.prune(layout, Wanted(everything=True), owners=False, lease=own)
    assert len(held(layout)) == 1


def test_a_size_that_is_none_is_refused(layout):
    with pytest.raises(StoreError, match="not a size: 'much'"):
        upkeep.prune(layout, Wanted(maximum="much"), owners=False, lease=None)
