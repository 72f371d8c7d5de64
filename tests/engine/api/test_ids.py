from base64 import b64decode
from dataclasses import replace

import pytest

from pipelines.engine.api.config import Config
from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory
from pipelines.engine.api.file import File
from pipelines.engine.api.ids import Objects, identify
from pipelines.engine.errors import QueryError
from pipelines.engine.op import CacheMount, CacheVolume, Edge, Empty, Exec, Scratch, Write

BASE = Container("linux/amd64", Edge(Scratch()))
RUN = Exec(Edge(Scratch()), ("a",), (), "/", "", "linux/amd64")


def test_equal_objects_have_equal_ids():
    assert identify(BASE) == identify(Container("linux/amd64", Edge(Scratch())))


CHANGES = {
    "platform": {"platform": "linux/arm64"},
    "rootfs": {"rootfs": Edge(Write(Edge(Scratch()), "a", b""))},
    "output": {"rootfs": Edge(Scratch(), "/x")},
    "config": {"config": Config(labels=(("a", "b"),))},
    "unset and empty": {"config": Config(entrypoint=())},
    "volatile value": {"volatile": (("A", "1"),)},
    "last": {"last": RUN},
    "image": {"image": "alpine"},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_another_state_is_another_id(changes):
    assert identify(replace(BASE, **changes)) != identify(BASE)


def test_what_keys_leave_out_is_told_apart():
    """A volume's sharing is not in a key, but two containers that differ in it are two."""
    mounts = [CacheMount("/c", CacheVolume("k", sharing=one)) for one in ("SHARED", "LOCKED")]
    assert len({identify(replace(BASE, mounts=(mount,))) for mount in mounts}) == 2


def test_an_id_says_its_type():
    assert b64decode(identify(BASE)).startswith(b"Container:sha256:")
    assert identify(File(Edge(Empty()))) != identify(Directory(Edge(Empty())))


def test_an_object_is_found_by_its_id():
    objects = Objects()
    assert objects.find(objects.remember(BASE), "Container") is BASE


def test_an_id_of_another_session_is_refused_by_name():
    with pytest.raises(QueryError, match=r"unknown id Container:sha256:.*live as long"):
        Objects().find(identify(BASE))


@pytest.mark.parametrize("text", ["", "x", "é", "A" * 500])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(QueryError, match="unknown id"):
        Objects().find(text)


def test_an_id_of_another_type_is_refused():
    objects = Objects()
    with pytest.raises(QueryError, match="expected the id of a File, got the id of a Container"):
        objects.find(objects.remember(BASE), "File")
