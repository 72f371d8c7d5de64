"""COPY and ADD on a real store: pick, extract, put, lay."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from pipelines.engine import op as ops
from pipelines.engine.errors import PathError
from pipelines.engine.tree import Tree
from tests.engine.run.test_trees import EDGE, Bench


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def tar(**files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size, member.mode = len(text), 0o640
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


def picked(bench, source, path, **options):
    return bench.run(ops.Pick(EDGE, path, **options), source)


def put(bench, base, path, *pieces, **options):
    return bench.run(ops.Put(EDGE, (EDGE,) * len(pieces), path, **options), base, *pieces)


@pytest.fixture(params=["tree", "snapshot"])
def source(request, bench):
    tree = bench.tree(a="A", b="B", d__e="E", d__f__g="G")
    return tree if request.param == "tree" else bench.snapshot(tree)


def test_picking_is_the_same_from_a_tree_and_a_snapshot(bench, source):
    assert set(picked(bench, source, "a")) == {"0", "0/f", "0/f/a"}
    assert set(picked(bench, source, "d")) == {"0", "0/d", "0/d/e", "0/d/f", "0/d/f/g"}
    assert {p for p in picked(bench, source, "[ab]") if p.count("/") == 2} == {"0/f/a", "1/f/b"}
    assert "0/d/d/f/g" in picked(bench, source, "d/f/g", parents=True)


def test_everything_is_one_layer(bench, source):
    base = bench.snapshot(bench.tree(etc__x="x"))
    made = put(bench, base, "w/", picked(bench, source, "a"), picked(bench, source, "d"))
    assert len(made.layers) == 2
    assert bench.paths(made) == {"etc", "etc/x", "w", "w/a", "w/e", "w/f", "w/f/g"}
    assert bench.text(made, "w/f/g") == "G"


def test_the_destination_is_found_through_links(bench, source):
    base = bench.snapshot(bench.tree(real__x="x"))
    base = bench.run(ops.Link(EDGE, "alias", "/real"), base)
    made = put(bench, base, "alias", picked(bench, source, "a"))
    assert {"alias", "real/a"} <= bench.paths(made)


def test_pieces_that_are_equal_make_equal_layers(bench, source):
    base = bench.snapshot(bench.tree(x="x"))
    one = put(bench, base, "w/", picked(bench, source, "a"))
    other = put(bench, base, "w/", picked(bench, bench.tree(a="A", b="changed"), "a"))
    assert one == other


def test_an_error_says_where(bench, source):
    with pytest.raises(PathError, match=r"Dockerfile:3: COPY: nope: not found"):
        picked(bench, source, "nope", where="Dockerfile:3: COPY")
    with pytest.raises(PathError, match=r"Dockerfile:4: COPY: copy to /d/f: it is a directory"):
        piece = picked(bench, bench.tree(f=""), "f")
        put(bench, bench.snapshot(bench.tree(d__f__g="")), "d/", piece, where="Dockerfile:4: COPY")


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_becomes_what_it_holds(bench, squeeze):
    source = Tree({"x.bin": bench.files.write(squeeze(tar(one="1", sub__two="2")))})
    pieces = bench.run(ops.Extract(EDGE), picked(bench, source, "x.bin"))
    made = put(bench, bench.snapshot(bench.tree(x="")), "w", pieces, mode="700")
    assert {"w/one", "w/sub/two"} <= bench.paths(made)
    assert bench.text(made, "w/sub/two") == "2"
    assert bench.trees.tree(made)["w/one"].mode == 0o640


@pytest.mark.parametrize(
    "data", [b"", b"text", gzip.compress(b"text", mtime=0), b"\x1f\x8bbroken", tar()[:512]]
)
def test_what_is_no_archive_stays_a_file(bench, data):
    source = Tree({"x.tar.gz": bench.files.write(data)})
    pieces = picked(bench, source, "x.tar.gz")
    assert bench.run(ops.Extract(EDGE), pieces) == pieces


def test_an_archive_is_unpacked_once(bench):
    source = Tree({"x": bench.files.write(tar(one="1"))})
    for _ in range(2):
        bench.run(ops.Extract(EDGE), picked(bench, source, "x"))
        layers = len(list(bench.layers.iterdir()))
    assert layers == 1


def test_layers_are_laid_over_layers(bench):
    base, upper = (
        bench.snapshot(bench.tree(**files)) for files in ({"a": "1", "b": "1"}, {"a": "2"})
    )
    made = bench.run(ops.Lay(EDGE, EDGE), base, upper)
    assert made.layers == (*base.layers, *upper.layers)
    assert (bench.text(made, "a"), bench.text(made, "b")) == ("2", "1")


@pytest.mark.parametrize("kind", ["file", "dir"])
def test_anything_can_be_selected_as_one_name(bench, source, kind):
    path = "d/f" if kind == "dir" else "d/e"
    made = bench.run(ops.Select(EDGE, path, "any"), source)
    assert {p.partition("/")[0] for p in made} == {"d" if kind == "dir" else "e"}
