"""The package image of Zig: which release a tag stands for, and what is in it."""

import stat
import zipfile

import pytest
from tars import shown

from pipelines.engine import machines
from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.busybox import Found
from pipelines.engine.images.packages.programs import Programs
from pipelines.engine.images.packages.wheels import Wheels
from pipelines.engine.images.packages.zig import Zig
from pipelines.engine.images.reference import Reference


class Shell:
    def find(self, platform):
        return Found("1.36.1", "0" * 64, "test", ())

    def install(self, into, sha256, platform):
        (into / "bin/sh").write_text(sha256)


class Source(Wheels):
    """Wheels that are made here instead of downloaded."""

    def __init__(self, inside=("zig", "lib/c.zig", "__init__.py")):
        super().__init__(Programs({}), "ziglang", "getting Zig from its wheel")
        self.asked, self._inside = 0, inside

    def versions(self):
        self.asked += 1
        return ["0.15.2", "0.15.1", "0.14.1.post1", "0.14.1", "0.9.0"]

    def download(self, version, into, platform=""):
        wheel = into / f"ziglang-{version}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in self._inside:
                archive.writestr(f"ziglang/{name}", version)
            archive.writestr(f"ziglang-{version}.dist-info/RECORD", "")
        return wheel


def pin(tmp_path, tag, source):
    zig = Zig(source, Shell(), tmp_path / "scratch")
    reference = Reference.parse(f"ziglang:{tag}")
    return zig, zig.pin(reference, machines.platform()).info(reference, machines.platform())


@pytest.mark.parametrize(
    ("tag", "version"),
    [("0.15", "0.15.2"), ("latest", "0.15.2"), ("0.14", "0.14.1"), ("0", "0.15.2")],
)
def test_a_tag_stands_for_the_newest_release_that_it_begins(tmp_path, tag, version):
    assert pin(tmp_path, tag, Source())[1].recipe["versions"]["zig"] == version


def test_an_exact_version_is_pinned_without_a_question(tmp_path):
    source = Source()
    assert pin(tmp_path, "0.14.1.post1", source)[1].recipe["versions"]["zig"] == "0.14.1.post1"
    assert source.asked == 0


@pytest.mark.parametrize("tag", ["0.99", "0.15-slim", "master"])
def test_a_tag_that_can_not_be_given_is_refused(tmp_path, tag):
    with pytest.raises(ImageError, match="Zig"):
        pin(tmp_path, tag, Source())


def test_the_root_filesystem_has_zig_and_its_library(tmp_path):
    zig, info = pin(tmp_path, "0.15.2", Source())
    into = tmp_path / "root"
    into.mkdir()
    zig.fill(info.recipe, into)
    below = {n for n in shown(into) if n.startswith("usr/local/zig/")}
    assert below == {"usr/local/zig/zig", "usr/local/zig/lib", "usr/local/zig/lib/c.zig"}
    assert stat.S_IMODE((into / "usr/local/zig/zig").stat().st_mode) == 0o755
    assert not list((tmp_path / "scratch").glob("room-*/*"))


def test_a_wheel_without_zig_is_said(tmp_path):
    zig, info = pin(tmp_path, "0.15.2", Source(inside=["readme"]))
    (tmp_path / "root").mkdir()
    with pytest.raises(ImageError, match="has no Zig in it"):
        zig.fill(info.recipe, tmp_path / "root")
