"""Images judged from outside: umoci unpacks what was built, crane and Docker find no fault."""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from pipelines.engine.images.archive import Archives
from pipelines.engine.images.blobs import NewBlob
from pipelines.engine.images.reference import Reference
from pipelines.engine.op import Edge, Scratch, Variant
from pipelines.engine.result import Snapshot
from pipelines.engine.run.archive import write
from pipelines.engine.run.compose import form
from pipelines.engine.run.layout import write_layout
from pipelines.engine.run.runtime import find_runtime
from pipelines.engine.snapshots.copy import Copy
from tests.engine.images.world import World
from tests.outside import crane, dockerd, require, run

EPOCH = 1_600_000_000
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
ROOT = os.geteuid() == 0


def below(root: Path) -> None:
    """Fill the lower layer."""
    for name in ("d/sub", "gone", "swapped", "opaque/old"):
        (root / name).mkdir(parents=True)
    for name in ("d/f", "d/sub/g", "gone/x", "swapped/x", "opaque/old/x", "file-to-dir", "kept"):
        (root / name).write_text(f"lower {name}\n" * 50)
    (root / "d").chmod(0o750)
    (root / "kept").chmod(0o4755)


def above(root: Path) -> None:
    """Change it in every way that a layer can tell."""
    (root / "d/f").write_text("upper\n")
    shutil.rmtree(root / "gone")
    shutil.rmtree(root / "swapped")
    (root / "swapped").write_text("a file now\n")
    (root / "file-to-dir").unlink()
    (root / "file-to-dir").mkdir()
    (root / "file-to-dir/x").write_text("x")
    shutil.rmtree(root / "opaque")
    (root / "opaque").mkdir()
    (root / "opaque/!first").write_text("before the whiteouts' names\n")
    (root / "hard-1").write_text("hard\n")
    os.link(root / "hard-1", root / "d/hard-2")
    (root / "copy").write_text("hard\n")
    (root / "link").symlink_to("/nowhere/at all")
    (root / "dangling").symlink_to("../" * 40 + "x")
    long = root / ("l" * 120) / ("m" * 130)
    long.mkdir(parents=True)
    (long / ("n" * 140)).write_text("long\n")
    (root / "ünï-☃").write_text("unicode\n")
    with open(os.fsencode(root) + b"/odd-\xff\xfe", "wb") as file:
        file.write(b"odd")
    os.mkfifo(root / "fifo", 0o600)
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o1777)
    os.setxattr(root / "copy", "user.note", b"\0binary=\xff\n")
    if ROOT:
        os.setxattr(root / "copy", "security.capability", CAPABILITY)
        (root / "owned").write_text("")
        os.chown(root / "owned", 3_000_000, 2_500_000)
        (root / "owned").chmod(0o6711)
        os.chown(root / "link", 12, 34, follow_symlinks=False)


def told(root: Path) -> dict[bytes, tuple]:
    """Tell everything of a tree that an image keeps, by path in bytes."""
    found, inodes = {}, {}
    top = os.fsencode(root)
    for at, directories, files in os.walk(top):
        for name in sorted([*directories, *files]):
            path = os.path.join(at, name)
            status = os.lstat(path)
            kind, extra = stat.S_IFMT(status.st_mode), b""
            if stat.S_ISLNK(status.st_mode):
                extra = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    extra = hashlib.sha256(file.read()).digest()
                if status.st_nlink > 1:
                    inodes.setdefault(status.st_ino, set()).add(path[len(top) :])
            mode = 0 if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
            notes = () if stat.S_ISLNK(status.st_mode) else attributes(path)
            owner = (status.st_uid, status.st_gid)
            found[path[len(top) :]] = (kind, mode, owner, extra, notes)
    return found | {b"links": tuple(sorted(map(sorted, inodes.values())))}


def attributes(path: bytes) -> tuple:
    names = [n for n in os.listxattr(path) if n == "security.capability" or n.startswith("user.")]
    names = [n for n in names if n != "user.rootlesscontainers"]
    return tuple((name, os.getxattr(path, name)) for name in sorted(names))


@pytest.fixture
def image(tmp_path):
    """An image of two layers in an OCI layout, and the tree that it must unpack to."""
    world = World(tmp_path / "world")
    (tmp_path / "expected").mkdir(mode=0o755)
    below(tmp_path / "expected")
    above(tmp_path / "expected")
    (tmp_path / "active").mkdir()
    copies = Copy(world.shelf.root, tmp_path / "active")
    base = copies.add(below)
    active = copies.prepare((base,))
    above(active.path)
    layers = copies.commit(active)
    world.composed = world.composer.compose(
        [Variant(Edge(Scratch()), "linux/amd64", json.dumps({"config": {"Cmd": ["/x"]}}))],
        [Snapshot(layers)],
        form("", "", EPOCH),
    )
    world.target = tmp_path / "layout"
    write_layout(world.composed, world.composer, world.target, "x")
    return world


def test_umoci_unpacks_what_was_built(image, tmp_path):
    require("umoci")
    rootless = [] if ROOT else ["--rootless"]
    bundle = tmp_path / "bundle"
    run("umoci", "unpack", *rootless, "--image", f"{image.target}:x", bundle)
    expected, found = told(tmp_path / "expected"), told(bundle / "rootfs")
    assert found.keys() == expected.keys()
    assert {k: v for k, v in found.items() if v != expected[k]} == {}
    changed = {p.lstat().st_mtime for p in (bundle / "rootfs").rglob("*") if p.is_file()}
    assert changed == {EPOCH}


def test_skopeo_finds_the_configuration_and_the_layers(image):
    require("skopeo")
    shown = json.loads(run("skopeo", "inspect", f"oci:{image.target}:x"))
    layers = [layer.digest for layer in image.composed.images[0].manifest.layers]
    assert (shown["Layers"], shown["Os"], shown["Architecture"]) == (layers, "linux", "amd64")
    assert shown["Created"] == "2020-09-13T12:26:40Z"
    assert shown["Digest"] == image.composed.descriptor.digest


def test_skopeo_copies_it_to_docker_s_form_and_back(image, tmp_path):
    require("skopeo")
    copy = ["skopeo", "--insecure-policy", "--tmpdir", tmp_path, "copy"]
    run(*copy, f"oci:{image.target}:x", f"docker-archive:{tmp_path}/d.tar:app:1")
    run(*copy, f"docker-archive:{tmp_path}/d.tar:app:1", f"oci:{tmp_path}/back:x")
    one, two = (
        json.loads(run("skopeo", "inspect", "--config", f"oci:{at}:x"))
        for at in (image.target, tmp_path / "back")
    )
    assert one["rootfs"] == two["rootfs"]


NAME = Reference.parse("team/app:1")


def archive(world, path: Path) -> Path:
    with path.open("wb") as file:
        places = world.composer.places(world.composed)
        write(world.composed, places, NewBlob(file.fileno()), NAME)
    return path


@pytest.mark.network
@pytest.mark.slow
def test_crane_finds_no_fault(image, tmp_path):
    program = crane()
    run(program, "validate", "--tarball", archive(image, tmp_path / "i.tar"))


@pytest.mark.slow
@pytest.mark.sandbox
def test_docker_loads_it_and_gives_it_back(image, tmp_path):
    with dockerd(tmp_path / "docker") as docker:
        environ = {**os.environ, "DOCKER_HOST": docker.socket}
        runtime = find_runtime(environ, "linux/amd64", root=True)
        runtime.load(image.composed, image.composer.places(image.composed), NAME)
        [shown] = json.loads(docker.docker("image", "inspect", "team/app:1"))
        docker.docker("export", "-o", tmp_path / "t.tar", docker.docker("create", NAME).strip())
        docker.docker("tag", "team/app:1", "team/other:2")
        docker.docker("save", "-o", tmp_path / "saved.tar", "team/app:1", "team/other:2")
    config = json.loads(image.images.blobs.get(image.composed.images[0].manifest.config.digest))
    assert shown["RootFS"]["Layers"] == config["rootfs"]["diff_ids"]
    assert shown["Config"]["Cmd"] == ["/x"]
    (tmp_path / "out").mkdir()
    every = ("--xattrs", "--xattrs-include=*")
    run("tar", "-xf", tmp_path / "t.tar", *every, "-C", tmp_path / "out")
    expected, found = told(tmp_path / "expected"), told(tmp_path / "out")
    docker_s_own = {b"/" + name for name in (b"dev", b"etc", b"proc", b"sys", b".dockerenv")}
    found = {k: v for k, v in found.items() if not k.startswith(tuple(docker_s_own))}
    # Docker's export knows no attributes but capabilities.
    found[b"/copy"] = (*found[b"/copy"][:-1], expected[b"/copy"][-1])
    assert dict(found[b"/copy"][-1])["security.capability"] == CAPABILITY
    assert {k: v for k, v in found.items() if expected.get(k) != v} == {}
    assert found.keys() == expected.keys()
    archives = Archives(image.images, image.files)
    saved = image.file((tmp_path / "saved.tar").read_bytes())
    for tag in ("team/app:1", "2"):
        ids = [layer.diff_id for layer in archives.load(saved, tag, "linux/amd64").layers]
        assert ids == config["rootfs"]["diff_ids"]
