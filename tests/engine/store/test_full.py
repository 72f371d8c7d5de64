"""A full disk: a typed error, nothing half-made, nothing lost, and a way out."""

import errno
import os

import pytest

from pipelines.engine.errors import StoreError, StoreFull
from pipelines.engine.store.ballast import drop, take_aboard
from pipelines.engine.store.full import full

FILL = """
    from pipelines.engine.errors import StoreFull
    from pipelines.engine.store.policy import Disk, Policy
    from pipelines.engine.store.sweep import Parts, sweep
    from pipelines.engine.store.verify import verify

    class Layers:
        def layers(self):
            return []
        def remove(self, layer):
            raise AssertionError

    def fill(write):
        for n in range(100_000):
            try:
                write(n)
            except StoreFull as exc:
                assert "cache prune" in str(exc), exc
                return n
        raise AssertionError("it never got full")

    blobs, files = Blobs(layout), Files(layout, owners=owners)
    records = Records(layout, lambda layer: True)
    key = digest_bytes(b"kept")
    records.put([key], Tree({"f": files.write(b"kept")}))
    (layout.root / "ballast").write_bytes(bytes(1 << 20))
    filled = [
        fill(lambda n: blobs.put(b"%d" % n + bytes(200_000))),
        fill(lambda n: files.write(b"%d" % n + bytes(5000))),
        fill(lambda n: blobs.put(b"%d" % n)),
        fill(lambda n: records.put([digest_bytes(b"%d" % n)], Snapshot(("a" * 64,) * 50))),
    ]
    assert filled[0] > 5, filled
    assert os.listdir(layout.incoming) == []
    records.close()
    records = Records(layout, lambda layer: True)
    assert files.read(records.get(key)["f"]) == b"kept"
    assert verify(layout, ["a" * 64], owners=owners) == []
    parts = Parts(layout, records, blobs, files, Volumes(layout), Layers())
    free = Disk.of(layout.root).free
    sweep(parts, Policy(0, 0, 0, 0))
    assert Disk.of(layout.root).free > free + 1_000_000
    blobs.put(bytes(500_000))
    records.put([key], Snapshot())
    print("ok")
"""
MOUNT = 'mkdir -p "$0" && mount -t tmpfs -o "$1" tmpfs "$0" && chmod 700 "$0" && shift && exec "$@"'


@pytest.mark.sandbox
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("limit", ["size=8m", "size=64m,nr_inodes=300"])
def test_a_full_disk_loses_nothing_and_can_be_swept(layout, other, limit):
    code = FILL if limit == "size=8m" else NO_INODES
    before = ["unshare", "-m", "--propagation", "private", "sh", "-c", MOUNT, str(layout.root)]
    process = other(code, before=[*before, limit])
    assert process.communicate()[0].strip() == "ok"


NO_INODES = """
    from pipelines.engine.errors import StoreFull
    blobs, records = Blobs(layout), Records(layout, lambda layer: True)
    try:
        for n in range(1000):
            blobs.put(b"%d" % n)
    except StoreFull as exc:
        assert n > 100, n
        assert os.listdir(layout.incoming) == []
        records.put([digest_bytes(b"k")], Snapshot())
        assert records.get(digest_bytes(b"k")) == Snapshot()
        print("ok")
"""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_says_what_to_do(number):
    with pytest.raises(StoreFull, match=r"no room to keep x: .*pipelines cache prune"):
        with full("keep x"):
            raise OSError(number, os.strerror(number))


def test_other_failures_pass():
    with pytest.raises(PermissionError):
        with full("keep x"):
            raise PermissionError(errno.EACCES, "no")
    with pytest.raises(StoreError, match="as it is"):
        with full("keep x"):
            raise StoreError("as it is")


def test_the_ballast_is_dropped_once(layout):
    take_aboard(layout)
    if not (layout.root / "ballast").exists():
        pytest.skip("this disk has no room for ballast")
    assert drop(layout)
    assert not drop(layout)
