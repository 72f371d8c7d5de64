"""Debian images: tags, the sources of the host, states of an archive, and making the image."""

import subprocess
from pathlib import Path

import pytest
from debianhost import KEYRING, SOURCES, Host, Only, release
from tars import shown

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.aptsources import Archive, mirrors, stanzas
from pipelines.engine.images.packages.debian import Wanted, wanted
from pipelines.engine.images.packages.mirror import Mirror
from pipelines.engine.images.packages.release import Source, read, written
from pipelines.engine.images.reference import Reference


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("bookworm", Wanted("bookworm")),
        ("bookworm-slim", Wanted("bookworm", slim=True)),
        ("12", Wanted("bookworm")),
        ("13-slim", Wanted("trixie", slim=True)),
        ("12.11", Wanted("bookworm", "12.11")),
        ("latest", Wanted("stable")),
        ("stable-slim", Wanted("stable", slim=True)),
    ],
)
def test_a_tag_names_a_suite(tag, found):
    assert wanted(Reference.parse(f"debian:{tag}")) == found


@pytest.mark.parametrize("tag", ["99", "bookworm-20260101", "bookworm-backports", "12.1.2"])
def test_a_tag_that_is_no_suite_is_refused(tag):
    with pytest.raises(ImageError, match=r"no suite or release.*bookworm, trixie"):
        wanted(Reference.parse(f"debian:{tag}"))


def found(text, deb822=True):
    return mirrors(stanzas(text, deb822=deb822))


def test_both_forms_of_sources_say_the_same():
    lines = (
        f"deb [arch=amd64 signed-by={KEYRING}] http://mirror.test/debian bookworm main contrib\n"
        "deb-src http://mirror.test/source bookworm main\n"
        "# deb http://mirror.test/old bookworm main\n"
        "deb http://mirror.test/security bookworm-security main # yes\n"
    )
    assert found(lines, deb822=False) == found(SOURCES)
    assert found(SOURCES).main == Archive("http://mirror.test/debian", KEYRING)
    assert found(SOURCES).security == Archive("http://mirror.test/security")


@pytest.mark.parametrize(
    "text",
    [
        "",
        SOURCES.replace("Types: deb", "Types: deb-src"),
        SOURCES.replace("Types: deb", "Enabled: no\nTypes: deb"),
        SOURCES.replace("main", "stable"),
        SOURCES.replace("http:", "cdrom:"),
        "Types: deb\nURIs: http://mirror.test/node\nSuites: ./\nComponents: main\n",
    ],
)
def test_a_source_that_can_not_be_debian_is_no_mirror(text):
    assert found(text) is None


def test_a_source_signed_by_debian_is_taken_before_others():
    other = SOURCES.replace("mirror.test", "other.test").replace(KEYRING, "/etc/other.gpg")
    assert found(f"{other}\n{SOURCES}").main.uri == "http://mirror.test/debian"


def test_a_list_of_mirrors_is_followed(tmp_path):
    (tmp_path / "list").write_text("# mine\nhttp://mirror.test/debian\tpriority:1\n")
    text = f"Types: deb\nURIs: mirror+file:{tmp_path}/list\nSuites: sid\nComponents: main\n"
    assert found(text).main.uri == "http://mirror.test/debian"


def test_an_image_sees_no_password():
    source = Source(Archive("http://me:secret@mirror.test/debian"), ("sid",))
    assert "me:secret@" in written([source])
    assert "URIs: http://mirror.test/debian\n" in written([source], public=True)


def test_the_state_of_an_archive_is_the_index_of_main():
    read_release = read(f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{release()}")
    assert (read_release.codename, read_release.version) == ("bookworm", "12.15")
    assert read_release.indexes == {"amd64": "a" * 64}


@pytest.mark.parametrize("text", ["", release(date="yesterday")])
def test_a_release_file_without_a_date_is_refused(text):
    with pytest.raises(ImageError, match="no date"):
        read(text)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_a_pin_is_the_state_of_the_archive(host):
    first = host.pin("bookworm")
    host.publish("bookworm-security", date="18 Jul 2026 10:16:37")
    assert host.pin("12").digest == first.digest
    assert host.pin("12.15").digest == first.digest
    assert host.pin("12-slim").digest != first.digest
    host.publish("bookworm-security", index="e" * 64)
    assert host.pin("bookworm").digest != first.digest


def test_a_pin_rests_on_a_file_that_stays(host):
    first, second = host.pin("bookworm"), host.pin("12")
    assert first.evidence == second.evidence
    assert Path(first.evidence[0].path).exists()


def test_a_point_release_that_is_over_is_refused(host):
    with pytest.raises(ImageError, match=r"has 12\.15 by now; use debian:bookworm"):
        host.pin("12.1")


def test_an_archive_that_is_not_debian_is_refused(host):
    host.publish("bookworm", origin="Elsewhere")
    with pytest.raises(ImageError, match=r"of Debian, Elsewhere, not of Debian.*_SOURCES"):
        host.pin()


@pytest.mark.parametrize(
    ("missing", "what"),
    [
        ("mmdebstrap", "install mmdebstrap"),
        ("apt-get", "install apt"),
        ("sources/debian.sources", "no mirror of Debian .*PIPELINES_DEBIAN_SOURCES"),
    ],
)
def test_what_is_missing_is_named(host, missing, what):
    (host.top / (missing if "/" in missing else f"bin/{missing}")).unlink()
    with pytest.raises(ImageError, match=what):
        host.pin()


def test_debootstrap_is_taken_only_where_device_nodes_can_be_made(host):
    (host.top / "bin/mmdebstrap").rename(host.top / "bin/debootstrap")
    node = host.top / "node"
    script = f"mknod {node} c 1 3 && echo x > {node}"
    if subprocess.run(["sh", "-c", script], check=False, capture_output=True).returncode == 0:
        assert host.pin().recipe["versions"]["tool"] == "debootstrap"
    else:
        with pytest.raises(ImageError, match="install mmdebstrap, which"):
            host.pin()


def test_the_root_filesystem_is_made_from_the_hosts_mirror(host):
    info = host.pin("bookworm-slim")
    root = host.top / "root"
    root.mkdir()
    host.debian().fill(info.recipe, root)
    made = shown(root)
    assert made["epoch"] == "1783764997\n"
    assert "Suites: bookworm-security" in made["used"]
    assert '--aptopt=Acquire::http::Proxy "http://proxy.test"' in made["said"]
    assert "Acquire::Languages" not in made["said"]
    assert "URIs: http://mirror.test/debian\n" in made["etc/apt/sources.list.d/debian.sources"]
    assert not any("InRelease" in name for name in made)


def test_a_state_that_is_over_is_pinned_anew(host):
    info = host.pin()
    host.publish("bookworm-updates", index="f" * 64)
    (host.top / "root").mkdir()
    with pytest.raises(ImageError, match="run again to pin it anew"):
        host.debian().fill(info.recipe, host.top / "root")
    assert not Path(info.evidence[0].path).exists()


@pytest.mark.parametrize(
    "text", [SOURCES, "deb http://mirror.test/debian sid main\n"], ids=["deb822", "lines"]
)
def test_sources_can_be_named(host, text):
    (host.top / "sources/debian.sources").unlink()
    (host.top / "mine").write_text(text)
    mirror = Mirror(Only(host.top / "bin"), str(host.top / "mine"))
    assert mirror.main()[0] == "http://mirror.test/debian"


def test_a_suite_that_the_mirror_does_not_have_is_named(host):
    host.program("apt-get", "#!/bin/sh\necho E: no Release file >&2; exit 100\n")
    with pytest.raises(ImageError, match=r"the state of nosuch: .*no Release file"):
        host.pin("nosuch")


def test_a_tool_that_fails_is_quoted(host):
    info = host.pin()
    host.program("mmdebstrap", "#!/bin/sh\necho E: no room >&2; exit 25\n")
    with pytest.raises(ImageError, match=r"making Debian bookworm .*25: E: no room"):
        host.debian().fill(info.recipe, host.top / "root")
