"""OCI layouts: several images in one, whole ones only, and readable by others."""

import json
import shutil
import subprocess

import pytest

from pipelines.engine.digest import digest_bytes
from pipelines.engine.errors import ImageError, PathError
from pipelines.engine.op import Edge, Scratch, Variant
from pipelines.engine.result import Snapshot
from pipelines.engine.run.compose import form
from pipelines.engine.run.layout import write_layout
from tests.engine.images.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "world")


def put(world, into, tag, platforms=("linux/amd64",), **files):
    variants = [Variant(Edge(Scratch()), platform, "{}") for platform in platforms]
    roots = [Snapshot((world.layer(**files, os=platform),)) for platform in platforms]
    composed = world.composer.compose(variants, roots, form("", "", None))
    return write_layout(composed, world.composer, into, tag)


def tags(into):
    rows = json.loads((into / "index.json").read_text())["manifests"]
    return {row["annotations"]["org.opencontainers.image.ref.name"]: row["digest"] for row in rows}


def test_a_layout_holds_several_images_by_tag(world, tmp_path):
    one, two = put(world, tmp_path / "l", "1", a="1"), put(world, tmp_path / "l", "2", a="2")
    assert tags(tmp_path / "l") == {"1": one.digest, "2": two.digest}
    again = put(world, tmp_path / "l", "1", a="3")
    assert tags(tmp_path / "l") == {"1": again.digest, "2": two.digest}


def test_every_blob_is_what_its_name_says(world, tmp_path):
    put(world, tmp_path / "l", "1", platforms=("linux/amd64", "linux/arm64"), a="1")
    blobs = list((tmp_path / "l/blobs/sha256").iterdir())
    assert len(blobs) == 2 * 3 + 1
    assert {path.name for path in blobs} == {digest_bytes(p.read_bytes()).hex for p in blobs}
    assert not [path for path in blobs if path.stat().st_nlink > 1]


def test_what_is_there_is_not_written_again(world, tmp_path):
    put(world, tmp_path / "l", "1", a="1")
    before = {path: path.stat().st_ino for path in (tmp_path / "l").rglob("*")}
    put(world, tmp_path / "l", "1", a="1")
    assert {path: path.stat().st_ino for path in (tmp_path / "l").rglob("*")} == before


def test_a_directory_with_something_else_is_left_alone(world, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ImageError, match="no OCI layout; name an empty"):
        put(world, tmp_path, "1", a="1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "world"]


def test_what_a_killed_process_began_is_gone_on_with(world, tmp_path):
    put(world, tmp_path / "whole", "1", a="1")
    (tmp_path / "l/blobs/sha256").mkdir(parents=True)
    (tmp_path / "l/oci-layout").write_bytes((tmp_path / "whole/oci-layout").read_bytes())
    for name in (".new-a", "blobs/sha256/.new-b"):
        (tmp_path / "l" / name).write_text("half")
    put(world, tmp_path / "l", "1", a="1")
    files = {p.relative_to(tmp_path / "l") for p in (tmp_path / "l").rglob("*")}
    assert files == {p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*")}


def test_a_place_that_can_not_be_written_is_named(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PathError, match="file"):
        put(world, tmp_path / "file/l", "1", a="1")


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_a_layout_with_several_platforms(world, tmp_path):
    put(world, tmp_path / "l", "1", platforms=("linux/amd64", "linux/arm64/v8"), a="1")
    for arch in ("amd64", "arm64"):
        command = ["skopeo", "inspect", f"--override-arch={arch}", f"oci:{tmp_path / 'l'}:1"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["Architecture"] == arch
