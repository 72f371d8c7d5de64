"""Package images: which release a tag stands for, and what is in the root filesystem."""

import io
import os
import shutil
import stat
import tarfile

import pytest
from tars import entry, shown, tar

from pipelines.engine import machines
from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages import catalog
from pipelines.engine.images.packages.busybox import applets
from pipelines.engine.images.packages.copying import copy_tree
from pipelines.engine.images.packages.deb import extract_file
from pipelines.engine.images.packages.elf import is_static
from pipelines.engine.images.packages.golang import Golang, fingerprint_of
from pipelines.engine.images.packages.places import HostGo
from pipelines.engine.images.packages.programs import Programs
from pipelines.engine.images.packages.room import room
from pipelines.engine.images.packages.toolchain import Toolchain, matches, newest
from pipelines.engine.images.reference import Reference

AMD = "linux/amd64"
RELEASES = ["1.25.9", "1.26.0", "1.26.10", "1.26.9", "1.27rc1", "1.3"]


@pytest.mark.parametrize(
    ("tag", "release"),
    [
        ("", "1.26.10"),
        ("1", "1.26.10"),
        ("1.26", "1.26.10"),
        ("1.26.9", "1.26.9"),
        ("1.27rc1", "1.27rc1"),
        ("1.27", None),
        ("1.2", None),
        ("1.3", "1.3"),
        ("2", None),
    ],
)
def test_a_tag_stands_for_the_newest_release_that_it_begins(tag, release):
    assert newest(RELEASES, tag) == release


def test_a_release_candidate_is_given_only_by_name():
    assert not matches("1.27rc1", "")
    assert matches("1.27rc1", "1.27rc1")


class Place:
    """A place with one toolchain on disk."""

    def __init__(self, root, *versions, fingerprint="", origin="test"):
        self._root, self._versions, self._mark, self._origin = root, versions, fingerprint, origin

    def newest(self, tag, platform=AMD):
        found = newest(self._versions, tag)
        return None if found is None else Toolchain(found, self._origin, (), self._mark)

    def fetch(self, found, into, platform=AMD):
        return self._root if found.version in self._versions else None


class Shell:
    def find(self, platform):
        from pipelines.engine.images.packages.busybox import Found

        return Found("1.36.1", "0" * 64, "test", ())

    def install(self, into, sha256, platform):
        (into / "bin/sh").write_text(sha256)


@pytest.fixture
def goroot(tmp_path):
    root = tmp_path / "goroot"
    for name in (
        "bin/go",
        "pkg/tool/linux_amd64/compile",
        "src/fmt/print.go",
        "test/x.go",
        "VERSION",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def pin(tag, *places, tmp_path):
    return Golang(places, Shell(), tmp_path / "scratch").pin(
        Reference.parse(f"golang:{tag}"), "linux/amd64"
    )


def test_the_first_place_that_has_a_match_is_taken(tmp_path, goroot):
    places = Place(goroot, "1.26.6"), Place(goroot, "1.26.8", "1.27.0")
    assert pin("1.26", *places, tmp_path=tmp_path).versions["go"] == "1.26.6"
    assert pin("1.27", *places, tmp_path=tmp_path).versions["go"] == "1.27.0"


def test_the_digest_does_not_tell_where_a_release_came_from(tmp_path, goroot):
    ref = Reference.parse("golang:1.26")
    pins = [pin("1.26", Place(goroot, "1.26.6", origin=o), tmp_path=tmp_path) for o in "ab"]
    assert len({p.info(ref, "linux/amd64").digest for p in pins}) == 1
    patched = pin("1.26", Place(goroot, "1.26.6", fingerprint="x"), tmp_path=tmp_path)
    assert patched.info(ref, "linux/amd64").digest != pins[0].info(ref, "linux/amd64").digest


def test_labels_tell_versions_and_sources(tmp_path, goroot):
    config = (
        pin("1", Place(goroot, "1.26.6"), tmp_path=tmp_path)
        .info(Reference.parse("golang:1"), "linux/amd64")
        .config
    )
    labels = config["config"]["Labels"]
    assert labels["io.pipelines.package-image"] == "golang"
    assert labels["io.pipelines.package-image.go.version"] == "1.26.6"
    assert labels["io.pipelines.package-image.go.source"] == "test"
    assert "GOTOOLCHAIN=local" in config["config"]["Env"]


@pytest.mark.parametrize(
    ("tag", "what"),
    [
        ("1.26-alpine", "no alpine userland; use golang:1.26 "),
        ("9", "no Go release"),
        ("x", "not a Go"),
    ],
)
def test_a_tag_that_can_not_be_given_is_refused(tmp_path, goroot, tag, what):
    with pytest.raises(ImageError, match=what):
        pin(tag, Place(goroot, "1.26.6"), tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("version", "runs"), [("1.20.14", False), ("1.9", False), ("1.21.0", True)]
)
def test_a_go_that_needs_a_c_library_is_refused_before_it_is_fetched(
    tmp_path, goroot, version, runs
):
    tag = ".".join(version.split(".")[:2])
    if runs:
        assert pin(tag, Place(goroot, version), tmp_path=tmp_path).versions["go"] == version
        return
    with pytest.raises(ImageError, match=rf"Go {version} needs a C library.*golang:{tag}-bookworm"):
        pin(tag, Place(goroot, version), tmp_path=tmp_path)


def test_the_root_filesystem_has_the_toolchain_with_normal_modes(tmp_path, goroot):
    golang = Golang([Place(goroot, "1.26.6")], Shell(), tmp_path / "scratch")
    info = golang.pin(Reference.parse("golang:1"), "linux/amd64").info(
        Reference.parse("golang:1"), "linux/amd64"
    )
    into = tmp_path / "root"
    into.mkdir()
    golang.fill(info.recipe, into)
    found = shown(into)
    assert found["usr/local/go/src/fmt/print.go"] == "src/fmt/print.go"
    assert "usr/local/go/test" not in found
    modes = {
        n: stat.S_IMODE((into / n).stat().st_mode) for n in ("usr/local/go/bin/go", "tmp", "root")
    }
    assert modes == {"usr/local/go/bin/go": 0o755, "tmp": 0o1777, "root": 0o700}
    assert stat.S_IMODE((into / "usr/local/go/VERSION").stat().st_mode) == 0o644


def test_a_toolchain_that_is_another_one_by_now_is_not_used(tmp_path, goroot):
    golang = Golang([Place(goroot, "1.26.6", fingerprint="old")], Shell(), tmp_path / "scratch")
    made = golang.pin(Reference.parse("golang:1"), "linux/amd64").info(
        Reference.parse("golang"), "linux/amd64"
    )
    (tmp_path / "root").mkdir()
    with pytest.raises(ImageError, match="not to be had any more"):
        golang.fill(made.recipe, tmp_path / "root")
    assert fingerprint_of(goroot) != "old"


def fake_go(tmp_path, version, root):
    program = tmp_path / "path/go"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {version}\necho {root}\n")
    program.chmod(0o755)
    return Programs({"PATH": str(program.parent)})


@pytest.mark.parametrize("version", ["devel", "go1.26.6-X:nocoverageredesign"])
def test_a_host_go_that_is_no_release_is_left_alone(tmp_path, goroot, version):
    assert HostGo(fake_go(tmp_path, version, goroot)).newest("", machines.platform()) is None


def test_a_host_go_that_is_official_needs_no_fingerprint(tmp_path, goroot):
    (goroot / "VERSION").write_text("go1.26.6\ntime 2026-01-01T00:00:00Z\n")
    found = HostGo(fake_go(tmp_path, "go1.26.6", goroot)).newest("1.26", machines.platform())
    assert (found.version, found.fingerprint) == ("1.26.6", "")


def test_a_patched_host_go_does_not_pass_for_the_official_release(tmp_path, goroot):
    host = HostGo(fake_go(tmp_path, "go1.26.6", goroot))
    assert host.fetch(Toolchain("1.26.6", ""), tmp_path, machines.platform()) is None
    assert host.fetch(Toolchain("1.26.6", "", (), "mark"), tmp_path, machines.platform()) == goroot


def test_a_host_go_of_a_distribution_is_named_by_its_content(tmp_path, goroot):
    found = HostGo(fake_go(tmp_path, "go1.26.6", goroot)).newest("1.26", machines.platform())
    assert found.fingerprint == fingerprint_of(goroot)


def test_a_program_that_fails_is_quoted():
    with pytest.raises(ImageError, match=r"greeting: sh -c .* ended with 3: hello"):
        Programs(os.environ).run(["sh", "-c", "echo hello >&2; exit 3"], "greeting")


def test_a_program_that_nobody_waits_for_any_more_is_killed(tmp_path):
    class Left(BaseException):
        pass

    def alive():
        if (tmp_path / "started").exists():
            raise Left

    script = f"touch {tmp_path}/started; exec sleep 1000"
    with pytest.raises(Left):
        Programs(os.environ, alive).run(["sh", "-c", script], "sleeping")


def test_a_program_that_does_not_end_is_killed_and_named():
    with pytest.raises(ImageError, match=r"sleeping: sleep did not end within 0.1 s"):
        Programs(os.environ).run(["sleep", "1000"], "sleeping", timeout=0.1)


def test_package_images_are_for_this_machine_only(tmp_path):
    other = "linux/arm64" if machines.platform() != "linux/arm64" else "linux/amd64"
    with pytest.raises(ImageError, match="for this machine only"):
        catalog(os.environ, tmp_path).find(Reference.parse("golang:bookworm"), other)


def test_an_image_of_another_machine_says_so_in_its_recipe(tmp_path, goroot):
    golang = Golang([Place(goroot, "1.26.6")], Shell(), tmp_path / "scratch")
    ref = Reference.parse("golang:1")
    here, there = (golang.pin(ref, p).info(ref, p) for p in (machines.platform(), "linux/riscv64"))
    assert here.digest != there.digest
    assert "platform" not in here.recipe["versions"]
    assert there.recipe["versions"]["platform"] == "linux/riscv64"
    assert there.config["architecture"] == "riscv64"


def test_the_hosts_go_is_no_toolchain_of_another_machine(tmp_path, goroot):
    host = HostGo(fake_go(tmp_path, "go1.26.6", goroot))
    assert host.newest("1.26", machines.platform()) is not None
    assert host.newest("1.26", "linux/riscv64") is None
    assert host.fetch(Toolchain("1.26.6", "", (), "mark"), tmp_path, "linux/riscv64") is None


def test_applets_are_read_out_of_a_binary():
    listed = b"\0[\0[[\0acpid\0zcat\0\0more\0"
    assert applets(b"code\0" + listed) == ["[", "[[", "acpid", "zcat"]
    with pytest.raises(ImageError, match="no list of its applets"):
        applets(b"\0[\0nothing")


def deb(content: bytes, member="data.tar") -> bytes:
    def part(name, body):
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}".encode() + b"`\n"
        return head + body + b"\n" * (len(body) % 2)

    return b"!<arch>\n" + part("debian-binary", b"2.0\n") + part(member, content)


def test_a_file_is_read_out_of_a_package(tmp_path):
    (tmp_path / "x.deb").write_bytes(deb(tar(entry("./bin/busybox", b"shell"))))
    assert extract_file(tmp_path / "x.deb", ("bin/busybox",)) == b"shell"


@pytest.mark.parametrize(
    "content", [b"", b"!<arch>\nshort", deb(b"x"), deb(b"", "other"), deb(tar("y"))]
)
def test_a_damaged_package_is_refused(tmp_path, content):
    (tmp_path / "x.deb").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.deb"):
        extract_file(tmp_path / "x.deb", ("bin/busybox",))


def test_what_is_no_program_is_not_static(tmp_path):
    (tmp_path / "x").write_bytes(b"#!/bin/sh\n" * 10)
    assert not is_static(str(tmp_path / "x"))
    assert not is_static(str(tmp_path / "missing"))
    assert not is_static(os.path.realpath(shutil.which("sh")))


def test_copies_keep_links_and_leave_out_sockets(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "link").symlink_to("/nowhere")
    os.mkfifo(source / "pipe")
    copy_tree(source, tmp_path / "copy")
    assert shown(tmp_path / "copy") == {"link": "-> /nowhere"}


def has_static_busybox():
    found = shutil.which("busybox")
    return found is not None and is_static(found)


@pytest.mark.skipif(not has_static_busybox(), reason="the host has no static busybox")
def test_the_busybox_of_the_host_becomes_an_image(tmp_path):
    packages = catalog(os.environ, tmp_path / "images")
    info = packages.find(Reference.parse("busybox"), machines.platform())
    into = tmp_path / "root"
    into.mkdir()
    (part,) = packages.parts(info)
    part.fill(into)
    assert part.digest == info.digest
    assert is_static(str(into / "bin/sh"))
    assert (into / "bin/ls").readlink().name == "busybox"
    links = {p.name for p in (into / "bin").iterdir() if p.is_symlink()}
    assert links | {"busybox"} >= set(applets((into / "bin/busybox").read_bytes()))
    with pytest.raises(ImageError, match="use busybox or busybox:"):
        packages.find(Reference.parse("busybox:99"), machines.platform())


@pytest.mark.parametrize("form", ["gz", "xz"])
def test_packages_of_every_compression_are_read(tmp_path, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{form}") as archive:
        info, content = entry("./usr/bin/busybox", b"shell")
        archive.addfile(info, io.BytesIO(content))
    (tmp_path / "x.deb").write_bytes(deb(out.getvalue(), f"data.tar.{form}"))
    assert extract_file(tmp_path / "x.deb", ("usr/bin/busybox",)) == b"shell"


def test_a_room_of_a_killed_process_is_removed_by_the_next(tmp_path):
    (tmp_path / "room-left").mkdir()
    (tmp_path / "room-left/wheel").touch()
    (tmp_path / "busybox").touch()
    with room(tmp_path) as own, room(tmp_path) as other:
        assert {path.name for path in tmp_path.iterdir()} == {"busybox", own.name, other.name}
    assert [path.name for path in tmp_path.iterdir()] == ["busybox"]
