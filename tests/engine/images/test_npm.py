"""Packages of npm become files, whatever their archives say."""

from pathlib import Path

import pytest
from tars import CHAR, HARD, LINK, entry, shown, tar

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.npm import Npm
from pipelines.engine.images.packages.programs import Programs

NPM = """#!/bin/sh
case $1 in
view) echo '{versions}';;
pack) cp {top}/package.tar "$4/package.tgz"; echo "$2" > {top}/asked;;
esac
"""


class Registry:
    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "bin").mkdir()

    def npm(self, content: bytes = b"", versions: str = '["1.0.0", "2.0.0"]') -> Npm:
        (self.top / "package.tar").write_bytes(content)
        program = self.top / "bin/npm"
        program.write_text(NPM.replace("{top}", str(self.top)).replace("{versions}", versions))
        program.chmod(0o755)
        return Npm(Programs({"PATH": f"{self.top}/bin:/usr/bin:/bin"}))

    def fetched(self, content: bytes) -> dict[str, str]:
        room, into = self.top / "room", self.top / "into"
        room.mkdir()
        into.mkdir()
        self.npm(content).fetch("thing", "1.0.0", into, room)
        assert list(room.iterdir()) == []
        return shown(into)


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path)


def test_a_package_is_what_lies_below_its_first_directory(registry):
    content = tar(entry("package/bin/x", b"x", mode=0o755), entry("package/y", b"y"))
    assert registry.fetched(content) == {"bin": "dir", "bin/x": "x", "y": "y"}
    assert (registry.top / "into/bin/x").stat().st_mode & 0o777 == 0o755
    assert (registry.top / "into/y").stat().st_mode & 0o777 == 0o644
    assert (registry.top / "asked").read_text() == "thing@1.0.0\n"


def test_links_and_devices_of_a_package_are_left_out(registry):
    content = tar(
        entry("package/l", kind=LINK, target="/etc"),
        entry("package/h", kind=HARD, target="/etc/passwd"),
        entry("package/d", kind=CHAR),
        entry("package/l/passwd", b"mine"),
    )
    assert registry.fetched(content) == {"l": "dir", "l/passwd": "mine"}


@pytest.mark.parametrize("name", ["package/../../x", "/../x", ".."])
def test_a_package_that_leaves_its_directory_is_refused(registry, name):
    with pytest.raises(ImageError, match="leaves its root"):
        registry.fetched(tar(entry(name, b"x")))
    assert not (registry.top / "x").exists()


@pytest.mark.parametrize(("said", "versions"), [('["1.0.0"]', ["1.0.0"]), ('"3.1.4"', ["3.1.4"])])
def test_one_version_and_many_are_lists(registry, said, versions):
    assert registry.npm(versions=said).versions("thing") == versions


def test_an_answer_that_is_no_json_is_quoted(registry):
    with pytest.raises(ImageError, match="about thing is no JSON: 'oops"):
        registry.npm(versions="oops").versions("thing")


def test_without_npm_its_absence_is_the_error(tmp_path):
    npm = Npm(Programs({"PATH": str(tmp_path)}))
    assert not npm.there
    with pytest.raises(ImageError, match="asking npm for thing: npm is not installed"):
        npm.versions("thing")
