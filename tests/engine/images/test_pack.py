"""Packing layers: the same content gives the same bytes, and nothing is lost on the way."""

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

from pipelines.engine.images.compression import compressor, decompressing
from pipelines.engine.images.ownership import Ownership
from pipelines.engine.images.pack import pack
from pipelines.engine.images.unpack import unpack


def packed(root: Path, epoch: int = 0) -> bytes:
    out = io.BytesIO()
    done = pack(root, out.write, epoch)
    assert done.size == len(out.getvalue())
    return out.getvalue()


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        return [m.name + "/" * m.isdir() for m in found]


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


def test_times_are_clamped_and_not_raised(tmp_path):
    for name, mtime in (("old", 5), ("new", 500)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (mtime, mtime))
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path, 100))) as found:
        assert {m.name: m.mtime for m in found} == {"old": 5, "new": 100}


def test_whiteouts_and_opaque_marks_are_files_without_time(tmp_path):
    whiteout(tmp_path / "gone")
    (tmp_path / "d").mkdir()
    os.setxattr(tmp_path / "d", "user.overlay.opaque", b"y")
    archive = packed(tmp_path, 10**9)
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        marks = {m.name: (m.mtime, m.size, m.pax_headers) for m in found if m.isfile()}
    assert marks == {".wh.gone": (0, 0, {}), "d/.wh..wh..opq": (0, 0, {})}


def test_many_whiteouts_that_share_an_inode_are_not_hard_links(tmp_path):
    whiteout(tmp_path / "a")
    os.link(tmp_path / "a", tmp_path / "b")
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as found:
        assert [(m.name, m.isfile()) for m in found] == [(".wh.a", True), (".wh.b", True)]


def test_the_first_of_hard_links_owns_the_content(tmp_path):
    (tmp_path / "b").write_text("x")
    os.link(tmp_path / "b", tmp_path / "a")
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as found:
        assert [(m.name, m.type, m.linkname) for m in found] == [
            ("a", tarfile.REGTYPE, ""),
            ("b", tarfile.LNKTYPE, "a"),
        ]


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
