"""An OCI registry as a backend, on Debian's docker-registry."""

import json
import uuid
from base64 import b64encode

import pytest

from pipelines.caches.errors import Conflict, Unavailable
from pipelines.caches.open import open_transport
from pipelines.caches.transports.oci import naming
from pipelines.caches.transports.oci.access import Login, access, challenges
from pipelines.caches.transports.oci.naming import HeadTag
from tests.caches.transports.conformance import Conformance, put
from tests.outside import real_registry

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with real_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
async def transport(registry):
    transport = open_transport(f"oci://{registry.host}/of/{uuid.uuid4().hex}", {})
    yield transport
    await transport.aclose()


class TestOci(Conformance):
    async def test_writers_at_once_stand_beside_each_other(self, transport):
        for content in (b"one", b"two"):
            await transport.swap("heads/local/key", content, [])
        seen = await transport.heads("heads/local/key")
        assert {head.content for head in seen} == {b"one", b"two"}
        await transport.swap("heads/local/key", b"both", seen)
        assert [h.content for h in await transport.heads("heads/local/key")] == [b"both"]

    async def test_who_is_behind_is_told(self, transport):
        await transport.swap("heads/local/key", b"1", [])
        seen = await transport.heads("heads/local/key")
        await transport.swap("heads/local/key", b"2", seen)
        with pytest.raises(Conflict):
            await transport.swap("heads/local/key", b"late", [])

    async def test_work_below_the_highest_that_was_not_merged_stands(self, transport):
        await transport.swap("heads/local/key", b"a", [])
        seen = await transport.heads("heads/local/key")
        await transport.swap("heads/local/key", b"b", [])
        await transport.swap("heads/local/key", b"a2", seen)  # saw a, not b
        stand = {head.content for head in await transport.heads("heads/local/key")}
        assert stand == {b"a2", b"b"}

    async def test_old_tags_are_deleted(self, transport, registry):
        for number in range(12):
            await put(transport, "heads/local/key", b"%d" % number)
        assert len(await transport._tags()) <= 5

    async def test_restoring_asks_little(self, transport, registry):
        await transport.write("packs/ab01", b"x" * 100)
        await put(transport, "heads/local/key", b"head")
        fresh = open_transport(transport.url, {})
        before = len(registry.requests())
        await fresh.heads("heads/local/key")
        for at in range(0, 100, 25):
            await fresh.read("packs/ab01", at, 25)
        await fresh.aclose()
        assert len(registry.requests()) - before == 3 + 1 + 4

    async def test_manifests_that_are_none_are_a_miss(self, transport, registry):
        await transport.write("packs/ab01", b"x")
        await transport._put("packs.ab02", [], {})
        assert sorted([i.name async for i in transport.list("packs/")]) == ["packs/ab01"]
        tag = HeadTag.make("heads/local/key", 7, "0" * 8)
        await transport._put(tag.tag, [], {})
        (head,) = await transport.heads("heads/local/key")
        assert head.content == b""


def test_a_tag_of_a_head_is_not_an_objects():
    tag = HeadTag.make("heads/local/key", 7, "0" * 8)
    assert HeadTag.parse(tag.tag) == tag
    assert naming.name_of_tag(tag.tag) == ""
    assert naming.name_of_tag(naming.object_tag("packs/ab-_1")) == "packs/ab-_1"


@pytest.mark.parametrize("name", ["packs/a.b", "packs", "p/" + "a" * 127, "-a/b"])
def test_a_name_that_would_meet_another_is_no_tag(name):
    with pytest.raises(ValueError, match="can not be a tag"):
        naming.object_tag(name)


def test_a_tag_that_a_list_passed_over_is_found_by_the_next():
    """2b was written before 3c, and the first list has only 3c."""
    a, b, c, late = (
        HeadTag.make("x", n, w * 8).tag for n, w in zip((2, 2, 3, 4), "abcd", strict=True)
    )
    found = naming.settled([a, c], [a, b, c, late], "x")
    assert {head.tag for head in naming.beside(found, {c: [a]})} == {b, c}


def test_a_flood_of_tags_is_not_read():
    tags = [HeadTag.make("x", 5, f"{n:08x}").tag for n in range(1000)]
    assert len(naming.newest(tags, "x")) == naming.MOST
    assert not naming.newest(tags, "y")


def test_addresses_and_logins(tmp_path):
    login = b64encode(b"me:pass:word").decode()
    (tmp_path / "config.json").write_text(
        json.dumps(
            {"auths": {"https://h.example/v1/": {"auth": login}, "h:5": {"identitytoken": "t"}}}
        )
    )
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert access("oci://h.example/a/b", environ).login == Login("me", "pass:word")
    assert access("oci://h:5/a", environ).login == Login("", "", "t")
    assert access("oci://h.example/a", {}).login is None
    assert access("oci://h.example/a", {}).url("x") == "https://h.example/v2/a/x"
    assert access("oci://127.0.0.1:5/a", {}).origin == "http://127.0.0.1:5"
    assert access("oci://h:5/a?plain=1", {}).origin == "http://h:5"
    assert "pass" not in repr(access("oci://h.example/a/b", environ))


@pytest.mark.parametrize(
    "url", ["oci://h", "oci://h/A", "oci://u:pw@h/a", "oci://h/a?x=1", "oci://h/../a", "oci:///a"]
)
def test_an_address_that_makes_no_sense_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match="cache url") as caught:
        access(url, {})
    assert "pw" not in str(caught.value)


def test_challenges_are_read():
    header = 'Bearer realm="https://a/t",service="s,x",scope="repository:a:pull", Basic realm="b"'
    assert challenges(header) == {
        "bearer": {"realm": "https://a/t", "service": "s,x", "scope": "repository:a:pull"},
        "basic": {"realm": "b"},
    }


async def test_nobody_listens_is_told():
    transport = open_transport("oci://127.0.0.1:1/a", {})
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/v2/a/tags/list"):
        await transport.heads("heads/local/key")
    await transport.aclose()
