"""Loading into the host's container runtime: found by asking, fed through a pipe."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from pipelines.engine.errors import ImageError
from pipelines.engine.images.reference import Reference
from pipelines.engine.op import Edge, Scratch, Variant
from pipelines.engine.result import Snapshot
from pipelines.engine.run.compose import form
from pipelines.engine.run.runtime import find_runtime
from tests.engine.images.world import World

ANSWERS = 'case "$1" in version) exit 0;; load) cat >"$0.tar"; echo loaded;; esac'
DOWN = "echo Cannot connect >&2; exit 1"


@pytest.fixture
def programs(tmp_path):
    """Put programs on a PATH of their own."""
    path = tmp_path / "bin"
    path.mkdir()

    def put(name, script):
        (path / name).write_text(f"#!/bin/sh\n{script}\n")
        (path / name).chmod(0o755)
        return path / name

    put.environ = {"PATH": f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    return put


def found(programs, *, root=True):
    return find_runtime(programs.environ, "linux/arm64", root=root)


def load(tmp_path, runtime, platforms=("linux/amd64",)):
    world = World(tmp_path / "world")
    variants = [Variant(Edge(Scratch()), platform, "{}") for platform in platforms]
    roots = [Snapshot((world.layer(a=platform),)) for platform in platforms]
    composed = world.composer.compose(variants, roots, form("", "", None))
    runtime.load(composed, world.composer.places(composed), Reference.parse("team/app:1"))
    return composed


def test_the_first_runtime_that_answers_is_taken(programs):
    programs("docker", DOWN)
    podman = programs("podman", ANSWERS)
    assert found(programs).command == (str(podman),)
    docker = programs("docker", ANSWERS)
    assert found(programs).command == (str(docker),)


def test_podman_is_asked_through_its_socket_by_an_ordinary_user(programs):
    programs("docker", DOWN)
    programs("podman", f'[ "$1" = --remote ] || exit 1; shift; {ANSWERS}')
    assert found(programs, root=True) is None
    assert found(programs, root=False).command[1:] == ("--remote",)


def test_an_image_is_loaded_under_its_name(programs, tmp_path):
    docker = programs("docker", ANSWERS)
    load(tmp_path, found(programs))
    with tarfile.open(f"{docker}.tar") as tar:
        [row] = json.load(tar.extractfile("manifest.json"))
        [entry] = json.load(tar.extractfile("index.json"))["manifests"]
        assert {row["Config"], *row["Layers"]} < set(tar.getnames())
    assert row["RepoTags"] == ["team/app:1"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/team/app:1"


def test_of_several_platforms_docker_gets_its_own(programs, tmp_path):
    docker = programs("docker", ANSWERS)
    composed = load(tmp_path, found(programs), platforms=("linux/amd64", "linux/arm64"))
    with tarfile.open(f"{docker}.tar") as tar:
        [row] = json.load(tar.extractfile("manifest.json"))
    assert row["Config"].endswith(composed.images[1].manifest.config.digest.hex)


def test_what_a_runtime_says_against_it_is_told(programs, tmp_path):
    programs("docker", 'case "$1" in load) echo no space left >&2; exit 3;; esac')
    with pytest.raises(ImageError, match="team/app:1: docker load ended with 3: no space left"):
        load(tmp_path, found(programs))


def test_a_runtime_that_is_no_program_is_none(programs):
    Path(programs.environ["PATH"].partition(os.pathsep)[0], "docker").write_text("")
    programs.environ["PATH"] = programs.environ["PATH"].partition(os.pathsep)[0]
    assert found(programs) is None
