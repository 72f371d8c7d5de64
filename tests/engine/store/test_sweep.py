import os
import time

import anyio
import pytest

from pipelines.engine.digest import digest_bytes
from pipelines.engine.op import CacheVolume
from pipelines.engine.result import Snapshot
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.policy import Disk, Policy
from pipelines.engine.store.sweep import Parts, due, sweep
from pipelines.engine.tree import Tree

LAX = Policy(0, 1 << 50, 0, 0)
NOTHING = Policy(0, 0, 0, 0)
KEY, OTHER = digest_bytes(b"key"), digest_bytes(b"other")
A, B = "a" * 64, "b" * 64


class Layers:
    """A snapshotter's layers, by size."""

    def __init__(self, sizes):
        self.sizes = sizes

    def layers(self):
        return iter([(name, size, 1) for name, size in self.sizes.items()])

    def remove(self, layer):
        del self.sizes[layer]


@pytest.fixture
def parts(layout, records, blobs, files, volumes):
    return Parts(layout, records, blobs, files, volumes, Layers({A: 100, B: 100}))


def test_what_records_name_stays(parts):
    tree = Tree({"f": parts.files.write(b"x")})
    parts.records.put([KEY], tree)
    parts.records.put([OTHER], Snapshot((A, B)))
    swept = sweep(parts, LAX, time.time() + 2 * 86400)
    assert (swept.records, swept.partial) == (0, False)
    assert parts.records.get(KEY) == tree
    assert parts.files.has(tree["f"])
    assert set(parts.layers.sizes) == {A, B}


def test_what_no_record_names_goes_after_a_day(parts):
    blob, entry = parts.blobs.put(b"x"), parts.files.write(b"x")
    sweep(parts, LAX)
    assert parts.blobs.has(blob)
    sweep(parts, LAX, time.time() + 2 * 86400)
    assert not parts.blobs.has(blob)
    assert not parts.files.has(entry)
    assert parts.layers.sizes == {}


def image_blob(layout, name, size=1 << 20, used=0.0):
    path = layout.images / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(range(256)) * (size // 256))
    os.utime(path, (used, used))
    return path


def test_the_blobs_of_images_go_by_their_last_use(parts, layout):
    now = time.time()
    old = image_blob(layout, f"blobs/sha256/{A}", used=now - 20)
    new = image_blob(layout, f"blobs/sha256/{B}", used=now - 10)
    parts.records.put([KEY], Snapshot((A, B)))
    swept = sweep(parts, Policy(0, new.stat().st_blocks * 512 + 200, 0, 0), now)
    assert (old.exists(), new.exists()) == (False, True)
    assert swept.freed == new.stat().st_blocks * 512


def test_the_blobs_of_images_that_are_documents_stay(parts, layout):
    small = image_blob(layout, f"blobs/sha256/{A}", size=1 << 12)
    sweep(parts, NOTHING)
    assert small.exists()


def test_what_a_killed_process_left_of_an_image_goes_after_a_day(parts, layout):
    scraps = [image_blob(layout, name) for name in ("blobs/sha256/.new-x", "scratch/archive-x")]
    sweep(parts, LAX)
    assert all(path.exists() for path in scraps)
    sweep(parts, LAX, time.time() + 2 * 86400)
    assert not any(path.exists() for path in scraps)


def test_a_file_that_a_layer_links_stays(parts, layout):
    entry = parts.files.write(b"x")
    os.link(parts.files.path(entry), layout.snapshots / "f")
    sweep(parts, NOTHING)
    assert parts.files.has(entry)


def test_a_blob_that_others_keep_stays(parts):
    digest = parts.blobs.put(b"an image's layer")
    kept = Parts(*(getattr(parts, n) for n in Parts.__slots__[:-1]), keep=lambda: [digest])
    sweep(kept, NOTHING)
    assert parts.blobs.has(digest)


def test_the_least_recently_used_goes_and_its_layer_with_it(parts):
    parts.records.put([KEY], Snapshot((A,)))
    parts.records._db.execute("UPDATE records SET used = used - 10")
    parts.records.put([OTHER], Snapshot((B,)))
    swept = sweep(parts, Policy(0, 150, 0, 0))
    assert swept.records == 1
    assert set(parts.layers.sizes) == {B}
    assert parts.records.get(KEY) is None
    assert parts.records.get(OTHER) == Snapshot((B,))


def test_a_live_session_keeps_all_content(parts, layout):
    blob = parts.blobs.put(b"x")
    with Lease.take(layout):
        swept = sweep(parts, NOTHING)
    assert swept.partial
    assert parts.blobs.has(blob)
    assert set(parts.layers.sizes) == {A, B}


def test_a_session_that_sweeps_with_its_own_lease_is_not_in_its_own_way(parts, layout):
    blob = parts.blobs.put(b"x")
    with Lease.take(layout) as lease:
        assert not sweep(parts, NOTHING, lease=lease).partial
        assert sweep(parts, NOTHING).partial
        with Lease.take(layout):
            assert sweep(parts, NOTHING, lease=lease).partial
    assert not parts.blobs.has(blob)


def test_a_volume_that_nobody_has_open_goes_even_beside_a_live_session(parts, layout):
    async def main():
        async with parts.volumes.open(CacheVolume("idle")) as path:
            (path / "f").write_bytes(bytes(10000))
        async with parts.volumes.open(CacheVolume("busy")):
            return sweep(parts, NOTHING)

    with Lease.take(layout):
        assert anyio.run(main).volumes == 1
    assert [v.key for v in parts.volumes.list()] == ["busy"]
    assert os.listdir(layout.trash) == []


def test_a_sweep_is_due_once_an_hour_or_when_the_disk_runs_short(parts, layout):
    assert due(layout, LAX)
    sweep(parts, LAX)
    assert not due(layout, LAX)
    assert due(layout, LAX, time.time() + 3601)
    assert due(layout, Policy(0, 0, Disk.of(layout.root).free + (1 << 40), 0))
