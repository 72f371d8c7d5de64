import os

import pytest

from pipelines.engine.digest import digest_bytes
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.boot import recheck, sync
from pipelines.engine.store.files import Files
from pipelines.engine.store.leases import Lease, recover
from pipelines.engine.store.trash import discard, empty, remove_tree

HOLD = """
    lease = Lease.take(layout)
    (lease.path / "work").mkdir()
    (lease.path / "work").chmod(0)
    print(lease.id, flush=True)
    sys.stdin.read()
"""


def test_a_released_lease_leaves_nothing(layout):
    with Lease.take(layout) as lease:
        (lease.path / "work").write_text("in flight")
    assert os.listdir(layout.leases) == os.listdir(layout.trash) == []
    assert os.listdir(layout.active) == ["incoming"]


def test_a_live_session_is_left_alone(layout, other):
    process = other(HOLD)
    name = process.stdout.readline().strip()
    assert recover(layout) == 0
    assert (layout.active / name / "work").is_dir()


def test_the_work_of_a_killed_session_goes_with_the_next_lease(layout, other):
    process = other(HOLD)
    name = process.stdout.readline().strip()
    process.kill()
    process.wait()
    with Lease.take(layout) as lease:
        assert os.listdir(layout.leases) == [lease.id]
        assert not (layout.active / name).exists()
    assert os.listdir(layout.trash) == []


def test_a_draft_that_nobody_writes_goes(layout):
    (layout.incoming / "draft").write_text("half")
    recover(layout)
    assert os.listdir(layout.incoming) == []


def test_releasing_twice_is_releasing_once(layout):
    lease = Lease.take(layout)
    lease.release()
    lease.release()
    assert os.listdir(layout.leases) == []


def test_a_tree_of_odd_modes_is_removed_and_links_are_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").touch()
    deep = tmp_path / "top" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(deep / "pipe")
    for path in (deep, deep.parent, tmp_path / "top"):
        path.chmod(0)
    remove_tree(tmp_path / "top")
    remove_tree(tmp_path / "top")
    assert os.listdir(tmp_path) == ["outside"]
    assert (tmp_path / "outside" / "precious").exists()


def test_a_tree_deeper_than_a_path_can_say_is_removed(tmp_path):
    top = os.open(tmp_path, os.O_RDONLY)
    here = os.dup(top)
    for _ in range(40):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    os.close(top)
    remove_tree(tmp_path / ("d" * 200))
    assert os.listdir(tmp_path) == []


def test_the_trash_is_emptied(layout):
    (layout.snapshots / "x").mkdir()
    assert discard(layout, layout.snapshots / "x")
    assert not discard(layout, layout.snapshots / "x")
    assert empty(layout) == 1
    assert os.listdir(layout.trash) == []


@pytest.fixture
def torn(layout):
    """A store with content older and newer than what reached the disk, some of it torn."""
    Lease.take(layout, boot="first").release()
    blobs, files = Blobs(layout), Files(layout, owners=os.geteuid() == 0)
    kept = blobs.put(b"whole")
    lost, file = blobs.put(b"torn"), files.write(b"torn")
    (layout.snapshots / "layer").mkdir()
    for path in (blobs.path(lost), files.path(file)):
        path.chmod(0o600)
        os.truncate(path, 0)
    return kept, lost, file


def test_a_new_boot_drops_what_did_not_reach_the_disk(layout, torn):
    kept, lost, file = torn
    assert recheck(layout, "second") == 3
    assert Blobs(layout).has(kept)
    assert not Blobs(layout).has(lost)
    assert not Files(layout, owners=os.geteuid() == 0).has(file)
    assert os.listdir(layout.snapshots) == []


def test_within_one_boot_nothing_is_dropped(layout, torn):
    assert recheck(layout, "first") == 0
    assert os.listdir(layout.snapshots) == ["layer"]


def test_what_was_written_out_is_trusted_under_a_new_boot(layout):
    Lease.take(layout, boot="first").release()
    (layout.snapshots / "layer").mkdir()
    while sync(layout, "first") <= (layout.snapshots / "layer").stat().st_ctime:
        pass
    assert recheck(layout, "second") == 0
    assert os.listdir(layout.snapshots) == ["layer"]


def test_a_mark_that_is_torn_says_nothing_is_on_the_disk(layout, torn):
    layout.durable.write_bytes(b'{"bo')
    assert recheck(layout, "first") == 3


def test_a_store_is_rechecked_once(layout, torn):
    recheck(layout, "second")
    (layout.snapshots / "new").mkdir()
    assert recheck(layout, "second") == 0
    assert not Blobs(layout).has(digest_bytes(b"torn"))
