"""Image archives: what is written is read back, by us and by others."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tracemalloc

import pytest
from tars import LINK, entry, shown, tar

from pipelines.engine.digest import digest_bytes
from pipelines.engine.errors import ImageError
from pipelines.engine.result import Snapshot
from pipelines.engine.tree import Tree
from tests.engine.images.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "world")


def saved(config=None, layers=(b"",), tags=("app:1",), **changes) -> bytes:
    """What `docker save` writes."""
    ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": ids}} | (config or {})
    paths = [f"{n}/layer.tar" for n in range(len(layers))]
    rows = [{"Config": "c.json", "RepoTags": list(tags), "Layers": paths}]
    files = {"c.json": json.dumps(config).encode(), "manifest.json": json.dumps(rows).encode()}
    files |= dict(zip(paths, layers, strict=True)) | changes
    return tar(*[entry(n, c) for n, c in files.items()])


def layout(*images, **changes) -> bytes:
    """An OCI layout; an image is (tag, platform, layers)."""
    blobs, rows = {}, []

    def blob(content, kind):
        digest = digest_bytes(content)
        blobs["blobs/sha256/" + digest.hex] = content
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    for tag, platform, layers in images:
        system, architecture = platform.split("/")
        ids = [digest_bytes(layer) for layer in layers]
        config = {"os": system, "architecture": architecture, "rootfs": {"diff_ids": ids}}
        manifest = {
            "schemaVersion": 2,
            "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(gzip.compress(x, mtime=0), "…tar+gzip") for x in layers],
        }
        row = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
        row["platform"] = {"os": system, "architecture": architecture}
        row["annotations"] = {"org.opencontainers.image.ref.name": tag} if tag else {}
        rows.append(row)
    files = {"index.json": json.dumps({"manifests": rows}).encode()} | blobs | changes
    return tar(*[entry(n, c) for n, c in files.items()])


def test_a_saved_image_is_imported_and_unpacked(world):
    info = world.archives.load(world.file(saved(layers=(tar("a"), tar("b")))), "", "linux/amd64")
    layers = world.unpack(info).layers
    assert [shown(world.shelf.root / layer / "fs") for layer in layers] == [{"a": "a"}, {"b": "b"}]


def test_an_oci_layout_is_imported_and_unpacked(world):
    archive = layout(("1", "linux/amd64", (tar("a"),)))
    info = world.archives.load(world.file(archive), "1", "linux/amd64")
    assert shown(world.shelf.root / world.unpack(info).layers[0] / "fs") == {"a": "a"}


def test_a_layer_goes_through_the_links_of_those_below(world):
    below = tar(entry("run", kind=tarfile_dir()), entry("var/run", kind=LINK, target="/run"))
    info = world.archives.load(
        world.file(saved(layers=(below, tar("var/run/x")))), "", "linux/amd64"
    )
    assert shown(world.shelf.root / world.unpack(info).layers[1] / "fs")["run/x"] == "var/run/x"


def tarfile_dir():
    from tars import DIR

    return DIR


def test_the_root_of_an_image_is_open_to_every_user(world):
    info = world.archives.load(world.file(saved(layers=(tar("a"),))), "", "linux/amd64")
    root = world.shelf.root / world.unpack(info).layers[0] / "fs"
    assert root.stat().st_mode & 0o777 == 0o755


def test_a_compressed_archive_is_imported(world):
    info = world.archives.load(world.file(gzip.compress(saved())), "", "linux/amd64")
    assert info.source == "archive"


def test_an_imported_chain_is_unpacked_once(world):
    info = world.archives.load(world.file(saved(layers=(tar("a"),))), "", "linux/amd64")
    assert world.unpack(info) == world.unpack(info)
    assert world.shelf.added == 1


def test_a_tag_chooses_among_several_images(world):
    archive = layout(("1", "linux/amd64", (tar("a"),)), ("2", "linux/amd64", (tar("b"),)))
    info = world.archives.load(world.file(archive), "2", "linux/amd64")
    assert info.layers[0].diff_id == digest_bytes(tar("b"))
    with pytest.raises(ImageError, match="several images; choose one: 1, 2"):
        world.archives.load(world.file(archive), "", "linux/amd64")
    with pytest.raises(ImageError, match="no image tagged '3'"):
        world.archives.load(world.file(archive), "3", "linux/amd64")


def test_the_platform_chooses_among_several_images(world):
    archive = layout(("", "linux/amd64", (tar("a"),)), ("", "linux/arm64", (tar("b"),)))
    info = world.archives.load(world.file(archive), "", "linux/arm64/v8")
    assert info.layers[0].diff_id == digest_bytes(tar("b"))
    with pytest.raises(ImageError, match="it has linux/amd64, linux/arm64"):
        world.archives.load(world.file(archive), "", "linux/s390x")


def test_a_damaged_blob_is_refused(world):
    archive = layout(("", "linux/amd64", (tar("a"),)))
    archive = archive.replace(gzip.compress(tar("a"), mtime=0)[-8:-4], b"oops")
    with pytest.raises(ImageError, match="missing or damaged"):
        world.archives.load(world.file(archive), "", "linux/amd64")


def test_a_layer_that_is_not_its_diff_id_is_refused(world):
    config = {"rootfs": {"diff_ids": [digest_bytes(b"other")]}}
    archive = saved(config, layers=(tar("a"),))
    info = world.archives.load(world.file(archive), "", "linux/amd64")
    with pytest.raises(ImageError, match="the image is damaged"):
        world.unpack(info)


@pytest.mark.parametrize(
    ("archive", "what"),
    [
        (tar("x"), "neither index.json"),
        (b"hello" * 200, "not a tar archive"),
        (saved(**{"manifest.json": b"{"}), "not JSON"),
        (saved(**{"manifest.json": b"[]"}), "has 0 images"),
        (saved(**{"c.json": b"[]"}), "not a JSON object"),
        (saved({"rootfs": {"diff_ids": []}}), "1 layers and the config 0"),
        (saved({"architecture": "arm64"}), "it has linux/arm64"),
        (layout(**{"index.json": b'{"manifests":[{"digest":"x"}]}'}), "not an image descriptor"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(world, archive, what):
    with pytest.raises(ImageError, match=what):
        world.archives.load(world.file(archive), "", "linux/amd64")


@pytest.mark.parametrize("compression", ["", "Gzip", "Zstd", "Uncompressed"])
@pytest.mark.parametrize("media_types", ["OCIMediaTypes", "DockerMediaTypes"])
def test_what_is_written_is_read_back(world, tmp_path, compression, media_types):
    root = Snapshot((world.layer(a="1"), world.layer(b="2")))
    config = json.dumps({"config": {"Env": ["A=b"]}})
    made = world.write(root, compression=compression, media_types=media_types, config=config)
    other = World(tmp_path / "other")
    info = other.archives.load(other.file(world.bytes(made)), "", "linux/amd64")
    layers = [shown(other.shelf.root / layer / "fs") for layer in other.unpack(info).layers]
    assert layers == [{"a": "1"}, {"b": "2"}]
    assert info.config["config"] == {"Env": ["A=b"]}
    assert len([h for h in info.config["history"] if not h.get("empty_layer")]) == 2


def test_an_archive_is_the_same_bytes_in_another_store(world, tmp_path):
    archives = []
    for each in (world, World(tmp_path / "other")):
        made = each.write(Snapshot((each.layer(a="1"),)))
        archives.append(made.file)
    assert archives[0] == archives[1]


def test_the_layers_of_an_imported_image_keep_their_bytes(world):
    archive = layout(("", "linux/amd64", (tar("a"),)))
    info = world.archives.load(world.file(archive), "", "linux/amd64")
    root = Snapshot((*world.unpack(info).layers, world.layer(b="2")))
    made = world.write(root, base=info.digest)
    again = world.archives.load(world.file(world.bytes(made)), "", "linux/amd64")
    assert again.layers[0].blob == info.layers[0].blob
    forced = world.write(world.unpack(info), compression="Zstd", base=info.digest)
    again = world.archives.load(world.file(world.bytes(forced)), "", "linux/amd64")
    assert again.layers[0].blob != info.layers[0].blob
    assert again.layers[0].diff_id == info.layers[0].diff_id


def test_what_else_the_store_has_does_not_change_an_image(world, tmp_path):
    """The same layer came with an image, in other bytes: that is not this image's base."""
    other = World(tmp_path / "other")
    info = other.archives.load(other.file(saved(layers=(tar("a"),))), "", "linux/amd64")
    layer = other.unpack(info).layers[0]
    assert world.shelf.add(lambda at: (at / "a").write_text("a")) == layer
    assert world.write(Snapshot((layer,))).file == other.write(Snapshot((layer,))).file


def config_of(world, made):
    return world.archives.load(world.file(world.bytes(made)), "", "linux/amd64").config


def test_the_history_of_the_base_is_told_before_our_own(world):
    told = [
        {"created_by": "ADD rootfs", "created": "2020-01-02T03:04:05Z", "author": "them"},
        {"created_by": "CMD sh", "empty_layer": True},
    ]
    archive = saved({"history": told}, layers=(tar("a"),))
    info = world.archives.load(world.file(archive), "", "linux/amd64")
    root = Snapshot((*world.unpack(info).layers, world.layer(b="2")))
    ours = {"created": "1970-01-01T00:00:00Z", "created_by": "pipelines"}
    assert config_of(world, world.write(root, base=info.digest))["history"] == [*told, ours]
    assert config_of(world, world.write(root))["history"] == [ours, ours]


@pytest.mark.parametrize("told", [[{"created_by": "x"}, {"created_by": "y"}], []])
def test_a_history_that_does_not_fit_is_made_anew(world, told):
    info = world.archives.load(
        world.file(saved({"history": told}, layers=(tar("a"),))), "", "linux/amd64"
    )
    history = config_of(world, world.write(world.unpack(info), base=info.digest))["history"]
    assert [entry["created_by"] for entry in history] == ["pipelines"]


def test_a_base_whose_layers_are_not_the_lowest_is_none(world):
    info = world.archives.load(world.file(saved(layers=(tar("a"),))), "", "linux/amd64")
    root = Snapshot((world.layer(b="2"), *world.unpack(info).layers))
    assert world.write(root, base=info.digest).file == world.write(root).file


def test_the_epoch_is_the_time_of_our_layers_and_of_nothing_of_the_base(world):
    info = world.archives.load(world.file(saved(layers=(tar("a"),))), "", "linux/amd64")
    root = Snapshot((*world.unpack(info).layers, world.layer(b="2")))
    made = world.write(root, base=info.digest, epoch=1_600_000_000)
    again = world.archives.load(world.file(world.bytes(made)), "", "linux/amd64")
    assert again.config["created"] == "2020-09-13T12:26:40Z"
    assert again.config["history"][-1]["created"] == "2020-09-13T12:26:40Z"
    assert again.layers[0] == info.layers[0] or again.layers[0].blob == info.layers[0].blob
    with tarfile.open(world.images.blobs.path(again.layers[1].blob)) as layer:
        assert {member.mtime for member in layer} == {1_600_000_000}


def test_an_image_depends_on_the_epoch_and_not_on_what_was_packed_before(world, tmp_path):
    root = Snapshot((world.layer(a="1"),))
    early, late = world.write(root, epoch=1), world.write(root, epoch=2)
    assert early.file != late.file
    other = World(tmp_path / "other")
    root = Snapshot((other.layer(a="1"),))
    assert other.write(root, epoch=2).file == late.file


def test_blobs_that_were_collected_are_made_again(world):
    root = Snapshot((world.layer(a="1"),))
    first = world.write(root)
    for path in (world.images.root / "blobs/sha256").iterdir():
        path.unlink()
    assert world.write(root).file == first.file


def test_packing_ends_when_nobody_waits_and_leaves_nothing(world):
    layer = world.shelf.add(lambda at: _large(at / "big", 8))
    calls = iter([None, None])
    world.composer._alive = lambda: next(calls)
    with pytest.raises(StopIteration):
        world.write(Snapshot((layer,)))
    assert list((world.images.root / "blobs/sha256").iterdir()) == []


def test_memory_stays_flat_for_a_large_layer(world):
    layer = world.shelf.add(lambda at: _large(at / "big", 64))
    tracemalloc.start()
    world.write(Snapshot((layer,)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 << 20


def _large(path, megabytes):
    with path.open("wb") as file:
        for number in range(megabytes):
            file.write(hashlib.sha512(b"%d" % number).digest() * (1 << 14))


def test_several_platforms_share_one_archive(world):
    roots = [Snapshot((world.layer(a="amd"),)), Snapshot((world.layer(a="arm"),))]
    made = world.write(*roots, platforms=("linux/amd64", "linux/arm64"))
    for platform in ("linux/amd64", "linux/arm64"):
        info = world.archives.load(world.file(world.bytes(made)), "", platform)
        assert info.platform == platform


def test_a_root_that_is_a_tree_becomes_one_layer(world):
    tree = Tree.of([("d/f", world.files.write(b"x"))])
    made = world.write(tree)
    info = world.archives.load(world.file(world.bytes(made)), "", "linux/amd64")
    assert shown(world.shelf.root / world.unpack(info).layers[0] / "fs") == {"d": "dir", "d/f": "x"}


def test_an_unknown_compression_is_named(world):
    with pytest.raises(ImageError, match=r"EStarGZ.*Gzip has the same files.*Dagger engine"):
        world.write(Snapshot(), compression="EStarGZ")
    with pytest.raises(ImageError, match="can not be compressed with Lzma; use Gzip"):
        world.write(Snapshot(), compression="Lzma")


def test_a_missing_layer_blob_says_what_to_do(world):
    from pipelines.engine.errors import ContentMissing

    info = world.archives.load(world.file(saved(layers=(tar("a"),))), "", "linux/amd64")
    world.images.blobs.path(info.layers[0].blob).unlink()
    with pytest.raises(ContentMissing, match="import the archive again"):
        world.unpack(info)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("media_types", ["OCIMediaTypes", "DockerMediaTypes"])
def test_skopeo_copies_what_is_written(world, tmp_path, form, media_types):
    made = world.write(Snapshot((world.layer(a="1"), world.layer(b="2"))), media_types=media_types)
    source, target = tmp_path / "image.tar", tmp_path / "copy"
    source.write_bytes(world.bytes(made))
    command = ["skopeo", "--insecure-policy", "--tmpdir", tmp_path, "copy", f"{form}:{source}"]
    done = subprocess.run([*command, f"oci:{target}:x"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if shutil.which("umoci"):
        mine = ["--rootless"] if os.geteuid() else []
        unpacked = ["umoci", "raw", "unpack", *mine, "--image", f"{target}:x", tmp_path / "root"]
        assert subprocess.run(unpacked, capture_output=True).returncode == 0
        assert shown(tmp_path / "root") == {"a": "1", "b": "2"}


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_what_skopeo_writes_is_imported(world, tmp_path, form):
    source, target = tmp_path / "image.tar", tmp_path / "copy.tar"
    source.write_bytes(world.bytes(world.write(Snapshot((world.layer(a="1"),)))))
    command = ["skopeo", "--insecure-policy", "--tmpdir", tmp_path, "copy"]
    done = subprocess.run([*command, f"oci-archive:{source}", f"{form}:{target}:app:1"])
    assert done.returncode == 0
    info = world.archives.load(world.file(target.read_bytes()), "1", "linux/amd64")
    assert shown(world.shelf.root / world.unpack(info).layers[0] / "fs") == {"a": "1"}
