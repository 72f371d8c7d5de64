"""Restored trees as images of one layer."""

import hashlib
import json
import os
import tarfile

import pytest

from pipelines.caches import layers
from pipelines.caches.restoring import restore
from pipelines.caches.saving import save
from tests.caches.memory import Memory
from tests.caches.trees import fill

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def image(tmp_path):
    """Give a function that makes an image of what a new directory holds."""
    root, memory = fill(tmp_path / "0", {"d/a": b"a" * 70000, "b": b""}), Memory()
    os.link(root / "d/a", root / "d/hard")
    os.symlink("a", root / "d/soft")
    long = root / ("n" * 200)
    long.write_bytes(os.fsencode("\udcff"))
    long.rename(root / os.fsdecode(b"n" * 150 + b"\xff"))
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, ns=(10**18 + 7, 10**18 + 7), follow_symlinks=False)
    made, _ = await save(memory, None, {"": root}, kind="build", exact=True)

    async def written(name):
        (tree := tmp_path / f"{name}.tree").mkdir()
        await restore(memory, made, "", tree)
        layers.write(made, tree, tmp_path / name, "linux/arm64/v8")
        return tmp_path / name

    return written


def content(image, name):
    with tarfile.open(image) as whole:
        return whole.extractfile(name).read()


async def test_an_image_names_its_parts_by_their_digests(image):
    made = await image("i")
    (manifest,) = json.loads(content(made, "index.json"))["manifests"]
    described = json.loads(content(made, "blobs/" + manifest["digest"].replace(":", "/")))
    for part in (manifest, described["config"], *described["layers"]):
        blob = content(made, "blobs/" + part["digest"].replace(":", "/"))
        assert len(blob) == part["size"]
        assert "sha256:" + hashlib.sha256(blob).hexdigest() == part["digest"]
    config = json.loads(content(made, "blobs/" + described["config"]["digest"].replace(":", "/")))
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm64", "v8")


async def test_a_layer_has_every_entry_with_its_time(image, tmp_path):
    made = await image("i")
    with tarfile.open(made) as whole:
        whole.extract(whole.getmembers()[0], tmp_path / "out", filter="data")
    (layer,) = (tmp_path / "out/blobs/sha256").iterdir()
    with tarfile.open(layer, errors="surrogateescape") as packed:
        found = {m.name: m for m in packed.getmembers()}
    assert sorted(found) == [
        ".", "b", "d", "d/a", "d/hard", "d/soft", os.fsdecode(b"n" * 150 + b"\xff")
    ]  # fmt: skip
    assert found["d/hard"].islnk()
    assert found["d/soft"].linkname == "a"
    times = {m.pax_headers["mtime"] for n, m in found.items() if n != "."}
    assert times == {"1000000000.000000007"}


async def test_equal_trees_give_equal_bytes(image):
    assert (await image("i")).read_bytes() == (await image("j")).read_bytes()
