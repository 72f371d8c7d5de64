"""Images of languages over Debian: what a tag stands for, and what stands on what."""

import os
import stat

import pytest
from debianhost import Host
from tars import shown

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.additions import TOOLS, Additions
from pipelines.engine.images.packages.base import Packages
from pipelines.engine.images.packages.golang import Golang
from pipelines.engine.images.packages.golangdebian import GolangDebian
from pipelines.engine.images.packages.node import Node, npm_line
from pipelines.engine.images.packages.python import Python
from pipelines.engine.images.packages.refused import Refused
from pipelines.engine.images.packages.toolchain import Toolchain, newest
from pipelines.engine.images.reference import Reference

AMD = "linux/amd64"


class Nodes:
    """A place with some releases of Node.js, each a few files."""

    def __init__(self, *versions, fingerprint=""):
        self._versions, self._mark = versions, fingerprint

    def newest(self, tag):
        found = newest(self._versions, tag)
        return found and (Toolchain(found, "test", (), self._mark), f"{npm_line(found)}.0.0")

    def fetch(self, node, npm, into, room):
        if node.version not in self._versions or node.fingerprint != self._mark:
            raise ImageError("gone")
        for name in ("bin/node", "include/node/node.h", "lib/node_modules/npm/bin/npm-cli.js"):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_text(node.version)
        (into / "bin/node").chmod(0o755)


class Gos:
    """A place with one Go on disk."""

    def __init__(self, root):
        self._root = root

    def newest(self, tag, platform):
        found = newest(["1.26.8"], tag)
        return found and Toolchain(found, "test")

    def fetch(self, found, into, platform):
        return self._root


class World:
    """All of it over a machine that stands for one with Debian's archive."""

    def __init__(self, top):
        self.host = Host(top)
        (top / "goroot/bin").mkdir(parents=True)
        (top / "goroot/bin/go").write_text("go")
        self.nodes = {"npm": Nodes("20.1.0", "22.9.0", "22.23.1", "24.1.0", "26.0.1")}

    def packages(self):
        debian = self.host.debian()
        additions, scratch = Additions(debian), self.host.top / "scratch"
        golang = Golang([Gos(self.host.top / "goroot")], None, scratch)
        over, python = GolangDebian(golang, additions), Python(debian, additions)
        node = Node(self.nodes, additions, scratch)
        return Packages((over, python, node, Refused()), (debian, additions, over, python, node))

    def find(self, reference):
        return self.packages().find(Reference.parse(reference), AMD)

    def parts(self, reference):
        return [part.digest for part in self.packages().parts(self.find(reference))]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def variables(info):
    return dict(one.split("=", 1) for one in info.config["config"]["Env"])


@pytest.mark.parametrize("tag", ["3.11", "3.11.2", "bookworm", "3-slim-bookworm", "3.11-slim"])
def test_a_python_is_the_one_of_the_suite_that_has_it(world, tag):
    info = world.find(f"python:{tag}")
    assert info.recipe["versions"] == {"python": "3.11.2"}
    assert variables(info)["PYTHON_VERSION"] == "3.11.2"
    assert variables(info)["PATH"].startswith("/usr/local/bin:/usr/local/sbin:")
    assert info.config["config"]["Cmd"] == ["python3"]
    assert ("base" in info.recipe["base"]) is ("slim" not in tag)


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("3.12", r"Python 3\.12 can not be had here; .* 3\.11 \(of bookworm\), 3\.13 \(of trixie"),
        ("3.11-trixie", r"trixie has Python 3\.13; use python:3\.11-bookworm or python:3\.13-trix"),
        ("3.11.9", r"bookworm has Python 3\.11\.2; use python:3\.11"),
        ("2.7", "can not be had here"),
        ("3.11-jessie", "can not be had here"),
        ("3.13-alpine", "Alpine packages come from"),
    ],
)
def test_a_python_that_can_not_be_had_is_refused_with_those_that_can(world, tag, why):
    with pytest.raises(ImageError, match=why):
        world.find(f"python:{tag}")


def test_a_suite_that_has_moved_on_to_another_python_is_refused(world):
    world.host.program("apt-cache", "#!/bin/sh\necho 'python3 | 3.12.1-1 | x'\n")
    with pytest.raises(ImageError, match="bookworm has another Python by now"):
        world.find("python:3.11")


def test_versions_are_read_once_for_a_state_of_the_archive(world):
    first = world.find("python:3.11-slim")
    world.host.program("apt-cache", "#!/bin/sh\nexit 1\n")
    assert world.find("python:3.11-slim").digest == first.digest
    world.host.publish("bookworm", index="e" * 64)
    with pytest.raises(ImageError, match="reading Debian's package indexes"):
        world.find("python:3.11-slim")


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("22", "22.23.1"),
        ("22.9", "22.9.0"),
        ("latest", "26.0.1"),
        ("current-slim", "26.0.1"),
        ("lts", "24.1.0"),
        ("jod-bookworm", "22.23.1"),
        ("slim", "26.0.1"),
    ],
)
def test_a_node_is_the_newest_release_that_its_tag_begins(world, tag, version):
    info = world.find(f"node:{tag}")
    assert info.recipe["versions"]["node"] == variables(info)["NODE_VERSION"] == version
    assert info.config["config"]["Cmd"] == ["node"]
    assert info.config["config"]["Entrypoint"] == ["docker-entrypoint.sh"]


@pytest.mark.parametrize(
    ("tag", "why"),
    [("9", "no Node.js release matches '9'"), ("x", "'x' is not a version of Node")],
)
def test_a_node_that_can_not_be_had_is_refused(world, tag, why):
    with pytest.raises(ImageError, match=why):
        world.find(f"node:{tag}")


def test_npm_is_of_the_line_that_the_release_came_with():
    assert [npm_line(v) for v in ("14.1.0", "16.0.0", "22.9.0", "24.0.0", "30.0.0")] == [
        *("6", "8", "10", "11", "11"),
    ]


def test_the_next_place_is_asked_and_another_build_is_another_image(world):
    official = world.find("node:22").digest
    world.nodes = {"npm": Nodes(), "wheel": Nodes("22.23.1", fingerprint="wheel")}
    info = world.find("node:22")
    assert info.digest != official
    assert info.config["config"]["Labels"]["io.pipelines.package-image.node.source"] == "wheel"


def test_images_with_a_base_in_common_have_its_layers_in_common(world):
    node, golang, python = (
        world.parts(name) for name in ("node:22", "golang:1.26-bookworm", "python:3.11")
    )
    assert node[:2] == golang[:2] == python[:2]
    assert len({node[2], golang[2], python[2]}) == 3
    assert node[0] == world.host.pin("bookworm").digest
    assert world.parts("node:22-slim")[0] == world.host.pin("bookworm-slim").digest


def test_every_part_is_another_one_when_the_archive_has_changed(world):
    before = {name: world.parts(name) for name in ("node:22", "python:3.11-slim")}
    world.host.publish("bookworm-security", date="18 Jul 2026 10:16:37")
    assert {name: world.parts(name) for name in before} == before
    world.host.publish("bookworm-security", index="e" * 64)
    for name, parts in before.items():
        assert set(world.parts(name)).isdisjoint(parts)


def test_all_parts_tell_their_versions_in_labels(world):
    labels = world.find("golang:1.26-bookworm").config["config"]["Labels"]
    told = {key.removeprefix("io.pipelines.package-image."): value for key, value in labels.items()}
    assert (told["go.version"], told["debian.version"]) == ("1.26.8", "bookworm")
    assert told["packages.version"].split() == list(TOOLS)


def test_a_debian_made_by_debootstrap_can_not_be_built_upon(world):
    (world.host.top / "bin/mmdebstrap").rename(world.host.top / "bin/debootstrap")
    with pytest.raises(ImageError, match=r"install.*mmdebstrap"):
        world.find("node:22")


@pytest.mark.parametrize(
    ("name", "why"), [("alpine:3.20", "busybox has the same shell"), ("ubuntu", "Debian only")]
)
def test_names_that_nobody_can_give_are_refused_with_the_reason(world, name, why):
    with pytest.raises(ImageError, match=why):
        world.find(name)
    assert all(world.packages().names())


def filled(world, reference, root):
    """Fill all parts of an image into one directory, as a stack of layers would show them."""
    for part in world.packages().parts(world.find(reference)):
        part.fill(root)
        for name in ("etc/passwd", "etc/group"):
            if not (root / name).exists():
                (root / name).write_text("root:x:0:\n")
        (root / "usr/local").mkdir(exist_ok=True)
        (root / "usr/local/bin").mkdir(exist_ok=True)
        (root / "home").mkdir(exist_ok=True)
    return shown(root)


@pytest.fixture
def root(tmp_path):
    at = tmp_path / "root"
    at.mkdir()
    return at


def test_a_node_image_has_the_official_layout(world, root):
    made = filled(world, "node:22", root)
    assert made["usr/local/bin/node"] == "22.23.1"
    assert made["usr/local/bin/npm"] == "-> ../lib/node_modules/npm/bin/npm-cli.js"
    assert made["etc/passwd"].endswith("node:x:1000:1000::/home/node:/bin/bash\n")
    assert "--include=" + ",".join(TOOLS) in made["said"]
    assert stat.S_IMODE((root / "usr/local/bin/docker-entrypoint.sh").stat().st_mode) == 0o755
    assert (root / "home/node").stat().st_uid == (1000 if os.geteuid() == 0 else os.geteuid())
    assert max(path.lstat().st_mtime for path in root.rglob("*")) == int(made["epoch"])


def test_a_python_image_lets_pip_install(world, root):
    (root / "usr/lib/python3.11").mkdir(parents=True)
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").write_text("no")
    made = filled(world, "python:3.11-slim", root)
    assert made["usr/local/bin/python"] == "-> /usr/bin/python3"
    assert not any("EXTERNALLY-MANAGED" in name for name in made)
    assert "EXTERNALLY-MANAGED" in made["etc/dpkg/dpkg.cfg.d/90python"]
    assert "gcc" not in made["said"]


def test_a_go_image_over_debian_has_go_where_it_belongs(world, root):
    made = filled(world, "golang:1.26-bookworm", root)
    assert made["usr/local/go/bin/go"] == "go"
    assert stat.S_IMODE((root / "go/bin").stat().st_mode) == 0o1777
    config = world.find("golang:1.26-bookworm").config["config"]
    assert (config["WorkingDir"], config["Cmd"]) == ("/go", ["bash"])


ENTRY = [
    (["-e", "1"], "node -e 1"),
    (["script.js"], "node script.js"),
    (["echo", "hi"], "hi"),
    ([], "node "),
]


@pytest.mark.parametrize(("arguments", "said"), ENTRY)
def test_the_entrypoint_runs_commands_and_gives_the_rest_to_node(
    world, root, tmp_path, arguments, said
):
    import subprocess

    filled(world, "node:22", root)
    (tmp_path / "node").write_text('#!/bin/sh\necho "node $*"\n')
    (tmp_path / "node").chmod(0o755)
    script = root / "usr/local/bin/docker-entrypoint.sh"
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([script, *arguments], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{said}\n"
