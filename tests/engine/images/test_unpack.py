"""Unpacking layers: what overlayfs will show, and what no archive can do."""

import gzip
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from tars import CHAR, DIR, FIFO, HARD, LINK, entry, shown, tar

from pipelines.engine.errors import ImageError
from pipelines.engine.images.compression import decompressing
from pipelines.engine.images.ownership import Ownership
from pipelines.engine.images.tarread import Limits
from pipelines.engine.images.unpack import unpack


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").write_text("untouched")
    yield tmp_path / "root"
    assert (tmp_path / "outside").read_text() == "untouched"
    assert sorted(p.name for p in tmp_path.iterdir()) in (
        ["outside", "root"],
        ["lower", "outside", "root"],
    )


@pytest.fixture
def lower(tmp_path):
    path = tmp_path / "lower"
    path.mkdir()
    return path


def put(root: Path, *entries, lower=None, **options):
    archive = tar(*entries)
    done = unpack(io.BytesIO(archive).read, root, lower, ownership=Ownership(), **options)
    assert done.diff_id == "sha256:" + hashlib.sha256(archive).hexdigest()
    return shown(root)


def test_files_directories_and_links_come_out_as_they_went_in(root):
    found = put(root, entry("d", kind=DIR), "d/f", entry("l", kind=LINK, target="d/f"))
    assert found == {"d": "dir", "d/f": "d/f", "l": "-> d/f"}


def test_missing_parents_are_made(root):
    assert put(root, "a/b/c") == {"a": "dir", "a/b": "dir", "a/b/c": "a/b/c"}


def test_modes_and_times_are_kept(root):
    put(root, entry("s", kind=DIR, mode=0o1777, mtime=5), entry("s/x", mode=0o4755, mtime=7))
    assert stat.S_IMODE((root / "s").stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "s/x").stat().st_mode) == 0o4755
    assert [(root / n).stat().st_mtime for n in ("s", "s/x")] == [5, 7]


def test_a_read_only_directory_can_be_filled(root):
    found = put(root, entry("d", kind=DIR, mode=0o555), "d/f")
    assert found["d/f"] == "d/f"
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o555


def test_the_root_gets_the_mode_of_its_own_entry(root):
    put(root, entry("./", kind=DIR, mode=0o750))
    assert stat.S_IMODE(root.stat().st_mode) == 0o750


def test_an_absolute_link_on_the_way_stays_inside(root):
    found = put(root, entry("var/run", kind=LINK, target="/run"), "var/run/x")
    assert found["run/x"] == "var/run/x"
    assert found["var/run"] == "-> /run"


def test_a_link_above_the_root_ends_at_the_root(root):
    found = put(root, entry("a", kind=LINK, target="../../../outside-dir"), "a/x")
    assert found["outside-dir/x"] == "a/x"


def test_a_loop_of_links_is_an_error(root):
    with pytest.raises(ImageError, match="too many links"):
        put(root, entry("a", kind=LINK, target="b"), entry("b", kind=LINK, target="a"), "a/x")


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/../outside"])
def test_a_name_above_the_root_is_refused(root, name):
    with pytest.raises(ImageError, match="leaves its root"):
        put(root, name)


def test_an_absolute_name_lands_inside(root):
    assert put(root, "/etc/x")["etc/x"] == "/etc/x"


def test_a_file_replaces_a_link_and_does_not_write_through_it(root):
    target = str(root.parent / "outside")
    assert put(root, entry("x", kind=LINK, target=target), "x") == {"x": "x"}


def test_a_hard_link_to_the_host_is_refused(root):
    target = str(root.parent / "outside")
    with pytest.raises(ImageError, match="not there"):
        put(root, entry("x", kind=HARD, target=target), "x")


def test_a_file_does_not_write_through_a_hard_link(root):
    found = put(root, "a", entry("b", kind=HARD, target="a"), entry("b", b"new"))
    assert found == {"a": "a", "b": "new"}


def test_hard_links_share_an_inode(root):
    put(root, "a", entry("d/b", kind=HARD, target="./a"))
    assert (root / "a").stat().st_ino == (root / "d/b").stat().st_ino


def test_a_hard_link_to_a_link_is_the_link(root):
    target = str(root.parent / "outside")
    found = put(root, entry("l", kind=LINK, target=target), entry("h", kind=HARD, target="l"), "h")
    assert found == {"l": f"-> {target}", "h": "h"}


def test_a_hard_link_to_itself_changes_nothing(root):
    assert put(root, "a", entry("a", kind=HARD, target="a")) == {"a": "a"}


def test_a_hard_link_to_a_directory_is_refused(root):
    with pytest.raises(ImageError, match="is a directory"):
        put(root, entry("d", kind=DIR), entry("h", kind=HARD, target="d"))


def test_the_last_of_several_entries_of_a_name_counts(root):
    assert put(root, entry("x", b"1"), entry("x", b"2")) == {"x": "2"}


def test_types_change_both_ways(root):
    found = put(root, "a/b/c", "a/b", entry("x", b""), entry("x", kind=DIR), "x/y")
    assert {k: v for k, v in found.items() if k != "x"} == {"a": "dir", "a/b": "a/b", "x/y": "x/y"}


def test_an_entry_below_a_file_is_an_error(root):
    with pytest.raises(ImageError, match="is a file"):
        put(root, "a", "a/b")


def test_devices_are_left_out_and_fifos_are_made(root):
    assert put(root, entry("null", kind=CHAR, devmajor=1), entry("p", kind=FIFO)) == {"p": "fifo"}


def test_a_whiteout_becomes_a_device_zero(root):
    assert put(root, "d/.wh.x") == {"d": "dir", "d/x": "whiteout"}


def test_a_whiteout_of_what_is_not_below_is_left_out(root, lower):
    assert put(root, "d/.wh.x", ".wh.y", lower=lower) == {}


def test_a_whiteout_hides_a_lower_file(root, lower):
    (lower / "y").touch()
    assert put(root, ".wh.y", lower=lower) == {"y": "whiteout"}


@pytest.mark.parametrize("turned", [False, True])
def test_a_whiteout_spares_the_file_of_its_own_layer(root, turned):
    entries = ["x", ".wh.x"]
    assert put(root, *(reversed(entries) if turned else entries)) == {"x": "x"}


@pytest.mark.parametrize("turned", [False, True])
def test_a_whiteout_makes_the_directory_of_its_own_layer_opaque(root, turned):
    entries = ["x/f", ".wh.x"]
    found = put(root, *(reversed(entries) if turned else entries))
    assert found == {"x": "opaque", "x/f": "x/f"}


def test_an_opaque_mark_becomes_an_attribute(root):
    assert put(root, "x/.wh..wh..opq", "x/f") == {"x": "opaque", "x/f": "x/f"}


def test_an_opaque_root_hides_every_lower_name(root, lower):
    (lower / "a").mkdir()
    (lower / "b").touch()
    assert put(root, "b", ".wh..wh..opq", lower=lower) == {"a": "whiteout", "b": "b"}


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_nothing_is_refused(root, name):
    with pytest.raises(ImageError, match="whiteout of nothing"):
        put(root, name)


def test_bookkeeping_of_aufs_is_left_out(root):
    assert put(root, ".wh..wh.plnk", ".wh..wh.orph/x") == {}


def test_links_of_lower_layers_are_followed(root, lower):
    (lower / "usr/bin").mkdir(parents=True)
    (lower / "bin").symlink_to("usr/bin")
    assert put(root, "bin/x", lower=lower) == {"usr": "dir", "usr/bin": "dir", "usr/bin/x": "bin/x"}


def test_links_of_lower_layers_do_not_lead_to_the_host(root, lower):
    (lower / "var").mkdir()
    (lower / "var/run").symlink_to(f"{root.parent}")
    put(root, "var/run/outside", lower=lower)


def test_a_parent_that_is_only_below_keeps_its_mode(root, lower):
    (lower / "secret").mkdir(mode=0o700)
    put(root, "secret/x", lower=lower)
    assert stat.S_IMODE((root / "secret").stat().st_mode) == 0o700


def test_a_hard_link_to_a_lower_file_brings_it_up(root, lower):
    (lower / "f").write_text("below")
    assert put(root, entry("h", kind=HARD, target="f"), lower=lower) == {"h": "below"}


def test_a_directory_in_place_of_a_lower_link_is_a_directory(root, lower):
    (lower / "l").symlink_to("elsewhere")
    assert put(root, entry("l", kind=DIR), "l/x", lower=lower) == {"l": "dir", "l/x": "l/x"}


def test_attributes_of_overlayfs_never_come_from_an_archive(root):
    pax = {"SCHILY.xattr.user.mine": "1", "SCHILY.xattr.user.overlay.opaque": "y"}
    info, content = entry("d", kind=DIR)
    info.pax_headers = pax
    assert put(root, (info, content)) == {"d": "dir"}
    assert os.listxattr(root / "d") == ["user.mine"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tar_is_read(root, form):
    name = "/".join(["directory-of-some-length"] * 6) + "/file"
    archive = tar(name, form=form)
    unpack(io.BytesIO(archive).read, root, ownership=Ownership())
    assert (root / name).read_text() == name


def test_large_numbers_and_long_links_of_gnu_are_read(root):
    archive = tar(
        entry("l", kind=LINK, target="t" * 300), entry("n" * 200, mtime=-5), form=tarfile.GNU_FORMAT
    )
    unpack(io.BytesIO(archive).read, root, ownership=Ownership())
    assert os.readlink(root / "l") == "t" * 300
    assert (root / ("n" * 200)).stat().st_mtime == -5


def test_an_owner_that_does_not_exist_here_is_named(root):
    archive = tar(entry("x", uid=70000))
    small = Ownership(((0, 65536),), ((0, 65536),))
    with pytest.raises(ImageError, match="70000:0"):
        unpack(io.BytesIO(archive).read, root, ownership=small)


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(members=2), "more than 2 entries"),
        (Limits(size=2048), "more than 2048 bytes"),
        (Limits(depth=2), "in 3 levels"),
        (Limits(path=8), "a path of"),
    ],
)
def test_bombs_are_refused(root, limits, what):
    with pytest.raises(ImageError, match=what):
        put(root, "a/b/c", "d", "f" * 20, limits=limits)


def test_a_chain_of_links_does_not_get_around_the_depth_limit(root):
    steps = [entry("l0", kind=LINK, target="a/b")]
    steps += [entry(f"l{n}", kind=LINK, target=f"l{n - 1}/a/b") for n in range(1, 9)]
    with pytest.raises(ImageError, match="levels"):
        put(root, *steps, "l8/x", limits=Limits(depth=10))


@pytest.mark.parametrize("cut", [100, 600, 1023])
def test_a_truncated_archive_is_an_error(root, cut):
    with pytest.raises(ImageError, match="in the middle"):
        unpack(io.BytesIO(tar("x" * 90)[:cut]).read, root)


def test_what_is_no_archive_is_an_error(root):
    with pytest.raises(ImageError, match="not a tar archive"):
        unpack(io.BytesIO(b"hello" * 300).read, root)


@pytest.mark.parametrize(
    "record", [b"9 path=..", b"999 path=x\n", b"-1 path=x\n", b"x path=y\n", b"5 a=b"]
)
def test_a_damaged_pax_record_is_an_error(root, record):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    archive = info.tobuf() + record.ljust(512, b"\0") + tar("x")
    with pytest.raises(ImageError, match="pax record"):
        unpack(io.BytesIO(archive).read, root)


def test_sparse_files_are_refused_by_name(root):
    info, content = entry("x")
    info.pax_headers = {"GNU.sparse.major": "1"}
    with pytest.raises(ImageError, match="sparse"):
        put(root, (info, content))


def test_the_digest_covers_what_follows_the_end(root):
    archive = tar("x") + b"more" * 1000
    done = unpack(io.BytesIO(archive).read, root, ownership=Ownership())
    assert done.diff_id == "sha256:" + hashlib.sha256(archive).hexdigest()
    assert done.size == len(archive)


def test_gzip_of_several_members_and_zstd_are_read(root):
    import zstandard

    plain = tar("x")
    for packed in (gzip.compress(plain[:700]) + gzip.compress(plain[700:]) + bytes(64), plain):
        read = decompressing(io.BytesIO(packed))
        assert b"".join(iter(lambda: read(999), b"")) == plain  # noqa: B023
    read = decompressing(io.BytesIO(zstandard.compress(plain)))
    assert b"".join(iter(lambda: read(999), b"")) == plain


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:20] + b"\xff" * 9 + b[29:]])
def test_damaged_gzip_is_an_error(damage):
    read = decompressing(io.BytesIO(damage(gzip.compress(os.urandom(5000)))))
    with pytest.raises(ImageError, match="gzip"):
        while read(4096):
            pass


def test_descriptors_do_not_leak(root):
    before = os.listdir("/proc/self/fd")
    put(root, *[f"d{n}/x" for n in range(400)])
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_the_hashes_of_what_was_made_are_known(root):
    archive = tar(
        entry("d", kind=DIR),
        entry("d/f", b"old"),
        entry("d/f", b"new"),
        entry("d/hard", kind=HARD, target="d/f"),
        entry("gone", b"x"),
        entry("gone", kind=DIR),
        entry("l", kind=LINK, target="d/f"),
    )
    done = unpack(io.BytesIO(archive).read, root, ownership=Ownership())
    new = hashlib.sha256(b"new").hexdigest()
    assert done.hashes == {"d/f": new, "d/hard": new}


def test_a_layer_has_the_same_id_whether_its_hashes_are_known_or_read(tmp_path):
    from pipelines.engine.snapshots.shelf import Shelf

    archive = tar("a", entry("b/c", b"c"), entry("b/hard", kind=HARD, target="b/c"), "a")
    ids = []
    for known in (None, {}):
        (tmp_path / f"{known}").mkdir()
        (tmp_path / f"active{known}").mkdir()
        shelf = Shelf(tmp_path / f"{known}", tmp_path / f"active{known}")

        def fill(into, known=known):
            done = unpack(io.BytesIO(archive).read, into, ownership=Ownership())
            if known is not None:
                known.update(done.hashes)

        ids.append(shelf.add(fill, known=known))
    assert ids[0] == ids[1]
