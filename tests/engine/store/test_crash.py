"""SIGKILL at every labelled point: then the store has no wrong answer and nothing half-made."""

import os
import re
import signal
from pathlib import Path

import anyio
import pytest

import pipelines.engine.store
from pipelines.engine.digest import digest_bytes
from pipelines.engine.op import CacheVolume
from pipelines.engine.result import Ran, Snapshot
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.records import Records
from pipelines.engine.store.verify import verify
from pipelines.engine.store.volumes import Volumes
from pipelines.engine.tree import Tree

# One of everything that writes, in an order in which later writes build on earlier ones.
WORK = """
    from pipelines.engine.store.policy import Policy
    from pipelines.engine.store.sweep import Parts, sweep

    class Layers:
        def layers(self):
            return [(p.name, 1, 1) for p in layout.snapshots.iterdir()]
        def remove(self, layer):
            (layout.snapshots / layer).rmdir()

    lease = Lease.take(layout)
    blobs, files = Blobs(layout), Files(layout, owners=owners)
    records = Records(layout, lambda layer: (layout.snapshots / layer).exists())
    (lease.path / "f").write_bytes(b"a file that was put")
    stream = blobs.put_file(lease.path / "f")
    with blobs.writer() as writer:
        writer.write(b"a blob ")
        writer.write(b"in two pieces")
    (lease.path / "g").write_bytes(b"adopted")
    (lease.path / "g").chmod(0o644)
    import hashlib
    entry = Entry("file", 0o644, 7, hashlib.sha256(b"adopted").hexdigest(),
                  uid=0, gid=0)
    files.adopt(lease.path / "g", entry)
    tree = Tree({"f": files.write(b"a file"), "g": entry})
    records.put([digest_bytes(b"tree"), digest_bytes(b"tree again")], tree)
    (layout.snapshots / ("a" * 64)).mkdir()
    ran = Ran({"": Snapshot(("a" * 64,))}, 0, stream, stream, writer.digest)
    records.put([digest_bytes(b"ran")], ran)
    records.mark_durable()

    async def main():
        def fill(into):
            (into / "seed").write_text("seed")
        async with Volumes(layout).open(CacheVolume("v"), fill) as path:
            (path / "used").touch()
    anyio.run(main)
    lease.release()
    nothing = Policy(0, 0, 0, 0)
    sweep(Parts(layout, records, blobs, files, Volumes(layout), Layers()), nothing)
"""
LABELS = sorted(
    label
    for file in Path(pipelines.engine.store.__file__).parent.glob("*.py")
    for label in re.findall(r'crashpoint\("([^"]+)"\)', file.read_text())
)


def test_there_are_points_to_crash_at():
    assert len(LABELS) >= 12


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("label", LABELS)
def test_a_crash_leaves_no_lie_and_no_litter(layout, files, other, label, nth):
    died = other(WORK, {"PIPELINES_CRASH_AT": f"{label}:{nth}"}).wait()
    assert died == -signal.SIGKILL or (nth == 2 and died == 0)
    with Lease.take(layout) as lease:
        assert os.listdir(layout.active / lease.id) == []
        _check_hits(layout, files)
        anyio.run(_check_volume, layout)
        assert verify(layout, os.listdir(layout.snapshots), owners=files.owners) == []
    assert os.listdir(layout.trash) == os.listdir(layout.leases) == []
    assert os.listdir(layout.active) == ["incoming"]
    assert os.listdir(layout.incoming) == []


def _check_hits(layout, files):
    """Whatever is a hit is right and whole."""
    records = Records(layout, lambda layer: (layout.snapshots / layer).exists())
    tree, ran = (records.get(digest_bytes(name)) for name in (b"tree", b"ran"))
    if tree is not None:
        assert isinstance(tree, Tree)
        read = {path: files.read(entry) for path, entry in tree.items()}
        assert read == {"f": b"a file", "g": b"adopted"}
    if ran is not None:
        assert isinstance(ran, Ran)
        assert ran.outputs == {"": Snapshot(("a" * 64,))}
        assert Blobs(layout).get(ran.stdout) == b"a file that was put"
        assert Blobs(layout).get(ran.combined) == b"a blob in two pieces"
    records.close()


async def _check_volume(layout):
    """A volume that there is has its seed; one that there is not is made now."""

    def fill(into):
        (into / "seed").write_text("seed")

    async with Volumes(layout).open(CacheVolume("v"), fill) as path:
        assert (path / "seed").read_text() == "seed"


def test_without_a_label_nothing_crashes(layout, other):
    assert other(WORK).wait() == 0
    assert verify(layout) == []
