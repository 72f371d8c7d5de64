"""Packing layers: the same content gives the same bytes, and nothing is lost on the way."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tars import shown

from pipelines.engine.errors import ImageError
from pipelines.engine.images.compression import compressor, decompressing
from pipelines.engine.images.ownership import Ownership
from pipelines.engine.images.pack import pack
from pipelines.engine.images.unpack import unpack
from pipelines.engine.run.layers import layer_items, tree_items
from pipelines.engine.snapshots.layer import Scan
from pipelines.engine.tree import Entry, Tree
from tests.ns import in_namespace, reason_not


def packed(root: Path, epoch: int | None = None, **options) -> bytes:
    """The tar of a directory in overlay format, as if it were a layer of the store."""
    layer = root.parent / f"{root.name}.layer"
    layer.mkdir(exist_ok=True)
    scan = Scan(None, **options)
    scan.run(str(root))
    (layer / "rows").write_bytes(scan.encode())
    (layer / "fs").unlink(missing_ok=True)
    (layer / "fs").symlink_to(root)
    out = io.BytesIO()
    done = pack(layer_items(root.parent, layer.name, epoch), out.write)
    assert done.size == len(out.getvalue())
    return out.getvalue()


def members(archive: bytes) -> list[tarfile.TarInfo]:
    """All but the root, which a layer has if it is not an ordinary one: a test's is not."""
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as found:
        return [m for m in found if m.name != "."]


def names(archive: bytes) -> list[str]:
    return [m.name + "/" * m.isdir() for m in members(archive)]


def whiteout(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR, 0)


def test_order_is_by_bytes_and_parents_come_first(tmp_path):
    for name in ("b", "a-b", "a/z", "a/é", "a.b", "B"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert names(packed(tmp_path)) == ["B", "a-b", "a.b", "a/", "a/z", "a/é", "b"]


def test_times_and_order_of_creation_do_not_count(tmp_path):
    for root, order in (("1", "ab"), ("2", "ba")):
        (tmp_path / root).mkdir()
        for name in order:
            (tmp_path / root / name).write_text(name)
            os.utime(tmp_path / root / name, (int(root), int(root)))
    assert packed(tmp_path / "1") == packed(tmp_path / "2")


def test_a_layer_has_one_time_and_what_is_pinned_its_own(tmp_path):
    for name in ("a", "late", "old"):
        (tmp_path / name).touch()
    pinned = {"late": 500, "old": 5}

    def times(epoch):
        return {m.name: m.mtime for m in members(packed(tmp_path, epoch, pinned=pinned))}

    assert times(None) == {"a": 0, "late": 500, "old": 5}
    assert times(100) == {"a": 100, "late": 100, "old": 5}


def test_whiteouts_and_opaque_marks_are_files_without_time(tmp_path):
    whiteout(tmp_path / "gone")
    (tmp_path / "d").mkdir()
    os.setxattr(tmp_path / "d", "user.overlay.opaque", b"y")
    archive = packed(tmp_path, 10**9)
    marks = {m.name: (m.mtime, m.size, m.pax_headers) for m in members(archive) if m.isfile()}
    assert marks == {".wh.gone": (0, 0, {}), "d/.wh..wh..opq": (0, 0, {})}


def test_many_whiteouts_that_share_an_inode_are_not_hard_links(tmp_path):
    whiteout(tmp_path / "a")
    os.link(tmp_path / "a", tmp_path / "b")
    found = [(m.name, m.isfile()) for m in members(packed(tmp_path))]
    assert found == [(".wh.a", True), (".wh.b", True)]


def test_whiteouts_come_before_all_else_in_their_directory(tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("!new", "z"):
        (tmp_path / "d" / name).touch()
    whiteout(tmp_path / "d/y")
    os.setxattr(tmp_path / "d", "user.overlay.opaque", b"y")
    assert names(packed(tmp_path)) == ["d/", "d/.wh..wh..opq", "d/.wh.y", "d/!new", "d/z"]


def test_a_root_that_is_not_an_ordinary_one_is_in_the_layer(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o700)
    with tarfile.open(fileobj=io.BytesIO(packed(root))) as found:
        assert [(m.name, m.mode, m.isdir()) for m in found] == [(".", 0o700, True)]
    (tmp_path / "out").mkdir()
    unpack(io.BytesIO(packed(root)).read, tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_the_first_of_hard_links_owns_the_content(tmp_path):
    (tmp_path / "b").write_text("x")
    os.link(tmp_path / "b", tmp_path / "a")
    found = [(m.name, m.type, m.linkname) for m in members(packed(tmp_path))]
    assert found == [("a", tarfile.REGTYPE, ""), ("b", tarfile.LNKTYPE, "a")]


def test_equal_files_of_a_tree_are_no_hard_links(tmp_path):
    """The store links them for its own sake."""
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    assert [m.type for m in members(packed(tmp_path, linked=False))] == [tarfile.REGTYPE] * 2


def test_links_between_names_are_part_of_a_layer_s_id(tmp_path):
    def scanned(root: Path) -> bytes:
        scan = Scan(None)
        scan.run(str(root))
        return scan.encode()

    for name, twice in (("linked", os.link), ("copied", shutil.copy)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("x")
        twice(tmp_path / name / "a", tmp_path / name / "b")
    assert scanned(tmp_path / "linked") != scanned(tmp_path / "copied")


def test_a_tree_is_packed_as_the_layer_that_it_would_be(tmp_path):
    (tmp_path / "f").write_text("x")
    entry = Entry("file", 0o640, 1, hashlib.sha256(b"x").hexdigest(), mtime=7)
    tree = Tree.of([("d/f", entry), ("d/l", Entry("link", 0o777, target="f"))])
    (tmp_path / "tree/d").mkdir(parents=True)
    (tmp_path / "tree/d/f").write_text("x")
    (tmp_path / "tree/d/f").chmod(0o640)
    (tmp_path / "tree/d/l").symlink_to("f")
    out = io.BytesIO()
    pack(tree_items(tree, lambda _: (tmp_path / "f").open("rb"), 9), out.write)
    on_disk = members(packed(tmp_path / "tree", 9, pinned={"d/f": 7}, linked=False))

    def told(found):
        return [(m.name, m.mode, m.mtime, m.size, m.linkname, m.type) for m in found]

    assert told(members(out.getvalue())) == told(on_disk)


def test_a_file_that_is_not_as_long_as_its_layer_says_is_refused(tmp_path):
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer/fs").mkdir()
    (tmp_path / "layer/rows").write_text('["f", "f", 420, 0, 0, "%s", 3]' % ("0" * 64))
    for content, how in (("12", "shorter"), ("1234", "longer")):
        (tmp_path / "layer/fs/f").write_text(content)
        with pytest.raises(ImageError, match=how):
            pack(layer_items(tmp_path, "layer", None), lambda _piece: None)


def test_names_that_are_no_utf_8_survive(tmp_path):
    source, copy = tmp_path / "src", tmp_path / "out"
    source.mkdir()
    copy.mkdir()
    odd = os.fsencode(source) + b"/\xff\xfe-\xe9"
    with open(odd, "w") as file:
        file.write("odd")
    os.symlink(b"\xff", os.fsencode(source) + b"/link")
    unpack(io.BytesIO(packed(source)).read, copy)
    assert sorted(os.listdir(os.fsencode(copy))) == [b"link", b"\xff\xfe-\xe9"]
    assert os.readlink(os.fsencode(copy) + b"/link") == b"\xff"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users: needs root")
def test_owners_of_every_size_and_set_id_bits_survive(tmp_path):
    for name, uid in (("small", 7), ("big", 3_000_000), ("huge", 4_000_000_000)):
        (tmp_path / name).touch()
        os.chown(tmp_path / name, uid, uid)
        (tmp_path / name).chmod(0o6755)
    found = {m.name: (m.uid, m.gid, m.mode) for m in members(packed(tmp_path))}
    assert found == {
        "small": (7, 7, 0o6755),
        "big": (3_000_000, 3_000_000, 0o6755),
        "huge": (4_000_000_000, 4_000_000_000, 0o6755),
    }


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service+ep


def with_capability(root: Path) -> bytes:
    root.chmod(0o755)
    (root / "f").touch()
    os.setxattr(root / "f", "security.capability", CAPABILITY)
    return packed(root)


@pytest.mark.sandbox
@pytest.mark.parametrize("userns", [False, True])
def test_capabilities_are_the_same_in_a_user_namespace(tmp_path, userns):
    """The kernel keeps them with the namespace's owner and shows them without."""
    if os.geteuid() != 0 and not userns:
        pytest.skip("sets capabilities of the first namespace: needs root")
    if reason := reason_not(userns=userns):
        pytest.skip(reason)
    root = tmp_path / "root"
    root.mkdir()
    archive = in_namespace(with_capability, root, userns=userns)
    [found] = members(archive)
    text = found.pax_headers["SCHILY.xattr.security.capability"]
    assert text.encode("utf-8", "surrogateescape") == CAPABILITY
    assert (found.uid, found.gid) == (0, 0)


def test_pax_is_used_only_where_ustar_does_not_reach(tmp_path):
    (tmp_path / "short").touch()
    assert b"PaxHeaders" not in packed(tmp_path)
    (tmp_path / ("n" * 101)).touch()
    assert packed(tmp_path).count(b"PaxHeaders") == 1


@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 200, 255])
def test_names_of_every_length_survive(tmp_path, length):
    (tmp_path / "src" / ("d" * 120)).mkdir(parents=True)
    (tmp_path / "src" / ("d" * 120) / ("n" * length)).touch()
    (tmp_path / "src" / "l").symlink_to("t" * length)
    archive = packed(tmp_path / "src")
    (tmp_path / "out").mkdir()
    unpack(io.BytesIO(archive).read, tmp_path / "out")
    assert shown(tmp_path / "out") == shown(tmp_path / "src")


def test_attributes_survive_and_those_of_overlayfs_do_not_leave(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/f").touch()
    os.setxattr(tmp_path / "src/f", "user.color", b"\0\xff=\n")
    os.setxattr(tmp_path / "src/f", "user.overlay.origin", b"x")
    (tmp_path / "out").mkdir()
    unpack(io.BytesIO(packed(tmp_path / "src")).read, tmp_path / "out")
    assert os.getxattr(tmp_path / "out/f", "user.color") == b"\0\xff=\n"
    assert os.listxattr(tmp_path / "out/f") == ["user.color"]


NAME = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), max_size=40)
GOOD = NAME.filter(lambda n: n not in {"", ".", ".."} and not n.startswith(".wh.")).filter(
    lambda n: len(n.encode()) < 200
)
MODE = st.sampled_from([0o644, 0o755, 0o600, 0o4755, 0o400])
LEAF = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=1200), MODE),
    st.tuples(st.just("link"), GOOD, st.just(0)),
    st.tuples(st.just("gone"), st.just(b""), st.just(0)),
)
TREE = st.recursive(LEAF, lambda inner: st.dictionaries(GOOD, inner, max_size=5), max_leaves=25)


def build(at: Path, tree) -> None:
    for name, node in tree.items():
        path = at / name
        if isinstance(node, dict):
            path.mkdir()
            build(path, node)
        elif node[0] == "file":
            path.write_bytes(node[1])
            path.chmod(node[2])
        elif node[0] == "link":
            path.symlink_to(node[1])
        else:
            whiteout(path)


@given(st.dictionaries(GOOD, TREE, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_layer_survives_packing_and_unpacking(tree):
    with tempfile.TemporaryDirectory() as temporary:
        source, copy = Path(temporary, "source"), Path(temporary, "copy")
        source.mkdir()
        copy.mkdir()
        build(source, tree)
        archive = packed(source)
        unpack(io.BytesIO(archive).read, copy, ownership=Ownership())
        assert shown(copy) == shown(source)
        assert packed(copy) == archive


@given(st.binary(max_size=5000), st.sampled_from(["Gzip", "Zstd", "Uncompressed"]))
@settings(max_examples=40, deadline=None)
def test_compression_is_undone_and_repeats_itself(content, kind):
    def squeeze() -> bytes:
        one = compressor(kind)
        return b"".join([one.compress(content[:100]), one.compress(content[100:]), one.flush()])

    assert squeeze() == squeeze()
    if kind != "Uncompressed":
        read = decompressing(io.BytesIO(squeeze()))
        assert b"".join(iter(lambda: read(700), b"")) == content


def test_gzip_names_no_time_and_no_system():
    one = compressor("Gzip")
    head = (one.compress(b"x") + one.flush())[:10]
    assert head == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed")
def test_gnu_tar_reads_what_is_packed(tmp_path):
    build(
        tmp_path / "src" if (tmp_path / "src").mkdir() is None else tmp_path,
        {
            "d": {"f": ("file", b"x" * 3000, 0o755), "é" * 60: ("file", b"", 0o644)},
            "l": ("link", "d", 0),
        },
    )
    (tmp_path / "out").mkdir()
    archive = packed(tmp_path / "src")
    done = subprocess.run(["tar", "-xf", "-", "-C", tmp_path / "out"], input=archive)
    assert done.returncode == 0
    assert shown(tmp_path / "out") == shown(tmp_path / "src")


@pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed")
@pytest.mark.parametrize("form", ["gnu", "posix", "ustar", "v7"])
def test_what_gnu_tar_writes_is_read(tmp_path, form):
    source = tmp_path / "src"
    source.mkdir()
    build(source, {"d": {"f": ("file", b"x" * 3000, 0o755)}, "l": ("link", "d/f", 0)})
    os.link(source / "d/f", source / "h")
    written = subprocess.run(["tar", f"--format={form}", "-cC", source, "."], capture_output=True)
    (tmp_path / "out").mkdir()
    unpack(io.BytesIO(written.stdout).read, tmp_path / "out")
    assert shown(tmp_path / "out") == shown(source)
