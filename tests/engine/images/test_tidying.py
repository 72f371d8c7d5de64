"""A fresh Debian becomes an image: what goes, what comes, and no file newer than the archive."""

import os
import stat

import pytest
from tars import shown

from pipelines.engine.images.packages.tidying import tidy


@pytest.fixture
def fresh(tmp_path):
    """A root filesystem as it comes."""
    root = tmp_path / "root"
    for name in (
        *("dev/null", "var/log/apt/term.log", "var/cache/apt/archives/x.deb", "etc/machine-id"),
        *("var/lib/apt/lists/x_Packages", "etc/apt/sources.list.d/0000x.sources", "run/lock/x"),
        *("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/passwd-"),
        *("usr/share/man/man1/ls.1.gz", "usr/share/doc/x/copyright", "usr/share/doc/x/changes"),
        *("usr/sbin/policy-rc.d", "etc/passwd"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "etc/resolv.conf").symlink_to("/run/resolv.conf")
    return root


def test_what_tells_of_the_machine_is_gone(fresh):
    tidy(fresh, "sources", slim=False, epoch=1000)
    kept = {name for name, text in shown(fresh).items() if text == "x"}
    assert kept == {
        *("etc/passwd", "usr/share/man/man1/ls.1.gz"),
        *("usr/share/doc/x/copyright", "usr/share/doc/x/changes"),
    }
    assert shown(fresh)["etc/machine-id"] == shown(fresh)["etc/resolv.conf"] == ""
    assert stat.S_IMODE((fresh / "usr/sbin/policy-rc.d").stat().st_mode) == 0o755


def test_a_slim_image_keeps_copyrights_and_directories(fresh):
    tidy(fresh, "sources", slim=True, epoch=1000)
    files = {path.name for path in (fresh / "usr/share").rglob("*") if path.is_file()}
    assert files == {"copyright"}
    assert (fresh / "usr/share/man/man1").is_dir()
    assert "path-exclude=/usr/share/man/*" in shown(fresh)["etc/dpkg/dpkg.cfg.d/90slim"]


def test_nothing_is_newer_than_the_archive(fresh):
    os.utime(fresh / "etc/passwd", (500, 500))
    tidy(fresh, "sources", slim=False, epoch=1000)
    times = {p.lstat().st_mtime for p in fresh.rglob("*")} | {fresh.stat().st_mtime}
    assert max(times) == 1000
    assert (fresh / "etc/passwd").stat().st_mtime == 500
