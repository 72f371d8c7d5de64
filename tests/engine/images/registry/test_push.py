"""Pushing: what is there stays, what is not goes up in order, and broken uploads start anew."""

import hashlib
import threading

import pytest

from pipelines.engine.digest import digest_bytes
from pipelines.engine.errors import Cancelled, RegistryError, RegistryMismatch
from pipelines.engine.images.registry.client import Client, Repository
from pipelines.engine.images.registry.hosts import HostRules, Hosts
from pipelines.engine.images.registry.push import Document, Outbound, Pusher
from pipelines.engine.images.registry.transport import Http
from tests.engine.images.registry.conftest import at
from tests.fake_registry import MANIFEST, FakeRegistry, Reply, Reset

UPLOADS = "/blobs/uploads/"


class Local:
    """Blobs as files; `brought` says which were asked for."""

    def __init__(self, root):
        self.root = root
        self.brought = []

    def blob(self, content, origin=None):
        digest = digest_bytes(content)
        path = self.root / digest.hex
        path.write_bytes(content)

        def place():
            self.brought.append(content)
            return path

        return Outbound(digest, len(content), place, origin)


@pytest.fixture
def local(tmp_path):
    return Local(tmp_path)


@pytest.fixture
def pusher(world, registry):
    return Pusher(world.client(), at(registry), world.clock.patience)


def manifest(content=b"{}", names=("1",)):
    return Document(MANIFEST, digest_bytes(content), content, names)


def test_layers_go_before_configs_and_configs_before_manifests(pusher, registry, local):
    layer, config = local.blob(b"layer"), local.blob(b"config")
    assert pusher.push([layer], [config], [manifest()]) == {
        layer.digest: "sent",
        config.digest: "sent",
    }
    sent = [seen.path for seen in registry.asked("PUT")]
    assert [layer.digest.hex in sent[0], config.digest.hex in sent[1]] == [True, True]
    assert sent[2].endswith("/manifests/1")
    assert registry.blobs[layer.digest] == b"layer"
    assert registry.manifests["lib/app", "1"] == (MANIFEST, b"{}")


def test_what_is_there_is_asked_for_and_nothing_else(pusher, registry, local):
    blobs = [local.blob(b"%d" % n) for n in range(3)]
    pusher.push(blobs, [local.blob(b"config")], [manifest()])
    registry.requests.clear()
    local.brought.clear()
    again = pusher.push(blobs, [local.blob(b"config")], [manifest()])
    assert set(again.values()) == {"kept"}
    assert {seen.method for seen in registry.requests} == {"HEAD"}
    assert len(registry.requests) == 5
    assert local.brought == []


def test_a_tag_that_moved_is_put_back(pusher, registry):
    pusher.push([], [], [manifest()])
    registry.manifest("lib/app", b"other", "1")
    pusher.push([], [], [manifest()])
    assert registry.manifests["lib/app", "1"] == (MANIFEST, b"{}")


def test_a_blob_in_two_images_goes_once(pusher, registry, local):
    pusher.push([local.blob(b"x"), local.blob(b"x")], [], [])
    assert len(registry.asked("PUT")) == 1


def test_a_blob_of_another_repository_is_mounted(pusher, registry, local):
    registry.blob("lib/base", b"layer")
    blob = local.blob(b"layer", at(registry, "lib/base"))
    assert pusher.push([blob], [], []) == {blob.digest: "mounted"}
    assert [seen.method for seen in registry.requests] == ["HEAD", "POST"]
    assert local.brought == []


@pytest.mark.parametrize("answer", [None, Reply(403), Reply(405), Reply(404)])
def test_a_mount_that_is_refused_becomes_an_upload(pusher, registry, local, answer):
    if answer is not None:
        registry.blob("lib/base", b"layer")
        registry.fault("POST", "mount=", answer)
    blob = local.blob(b"layer", at(registry, "lib/base"))
    assert pusher.push([blob], [], []) == {blob.digest: "sent"}
    assert ("lib/app", blob.digest) in registry.where


def test_a_large_blob_goes_in_chunks(pusher, registry, local):
    pusher.chunk = 1000
    content = bytes(range(256)) * 10
    pusher.push([local.blob(content)], [], [])
    ranges = [seen.headers["content-range"] for seen in registry.asked("PATCH")]
    assert ranges == ["0-999", "1000-1999", "2000-2559"]
    assert registry.blobs[digest_bytes(content)] == content


def test_a_broken_chunk_goes_on_where_the_registry_is(pusher, registry, local):
    pusher.chunk = 1000
    content = bytes(range(256)) * 10
    registry.fault("PATCH", "state=y", Reset())
    pusher.push([local.blob(content)], [], [])
    ranges = [seen.headers["content-range"] for seen in registry.asked("PATCH")]
    assert ranges == ["0-999", "1000-1999", "1000-1999", "2000-2559"]
    assert len(registry.asked("POST")) == 1
    assert registry.blobs[digest_bytes(content)] == content


def test_an_upload_that_is_forgotten_is_started_anew(pusher, registry, local):
    pusher.chunk = 1000
    content = bytes(range(256)) * 10
    registry.fault("PATCH", "state=y", Reply(503))
    registry.fault("GET", UPLOADS, Reply(404))
    pusher.push([local.blob(content)], [], [])
    assert len(registry.asked("POST")) == 2
    assert registry.blobs[digest_bytes(content)] == content


@pytest.mark.parametrize("status", [400, 405, 416, 501])
def test_a_registry_that_takes_no_chunks_gets_the_whole(pusher, registry, local, status):
    pusher.chunk = 1000
    content = bytes(range(256)) * 10
    registry.fault("PATCH", UPLOADS, Reply(status), times=9)
    pusher.push([local.blob(content)], [], [])
    assert registry.blobs[digest_bytes(content)] == content
    assert len(registry.asked("PATCH")) == 1


STALE = Reply(404, {}, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"gone"}]}')


@pytest.mark.parametrize(
    ("trouble", "times"),
    # A kept connection that is gone says nothing: the client itself asks once more.
    [(Reset(), 2), (Reply(503), 1), (Reply(500), 1), (Reply(429), 1), (STALE, 1)],
)
def test_a_broken_upload_is_started_anew(pusher, registry, local, trouble, times):
    registry.fault("PUT", UPLOADS, trouble, times)
    pusher.push([local.blob(b"layer")], [], [])
    assert len(registry.asked("POST")) == 2
    assert registry.blobs[digest_bytes(b"layer")] == b"layer"


def test_a_registry_that_stays_down_is_given_up(pusher, registry, local, world):
    registry.fault("PUT", UPLOADS, Reply(503), times=99)
    with pytest.raises(RegistryError, match=r"the registry failed.*503"):
        pusher.push([local.blob(b"layer")], [], [manifest()])
    assert len(registry.asked("PUT")) == 5
    assert len(world.clock.slept) == 4
    assert registry.manifests == {}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(401), "a login is needed.*docker login 127.0.0.1.*withRegistryAuth"),
        (Reply(403), "access is denied.*withRegistryAuth"),
        (Reply(404), "lib/app: not found"),
        (Reply(405), "refused .405."),
        (Reply(413), "too large for this registry or a proxy"),
    ],
)
def test_a_refusal_says_what_to_do_and_leaves_no_reference(pusher, registry, local, reply, words):
    registry.fault("POST", UPLOADS, reply, times=9)
    with pytest.raises(RegistryError, match=words) as refused:
        pusher.push([local.blob(b"layer")], [], [manifest()])
    assert registry.host in str(refused.value)
    assert registry.manifests == {}


def test_a_location_may_be_a_whole_address_with_a_query(pusher, registry, local):
    place = {"location": f"{registry.url}/v2/lib/app/blobs/uploads/u0?state=a&b=c"}
    registry.uploads["u0"] = bytearray()
    registry.fault("POST", UPLOADS, Reply(202, place))
    pusher.push([local.blob(b"layer")], [], [])
    [put] = registry.asked("PUT")
    assert "?state=a&b=c&digest=sha256%3A" in put.path


def test_an_answer_without_a_location_is_no_registry_s(pusher, registry, local):
    registry.fault("POST", UPLOADS, Reply(202))
    with pytest.raises(RegistryError, match="without a Location"):
        pusher.push([local.blob(b"layer")], [], [])


def test_a_registry_that_changes_a_manifest_is_told_on(pusher, registry):
    other = {"docker-content-digest": digest_bytes(b"other")}
    registry.fault("PUT", "/manifests/", Reply(201, other))
    with pytest.raises(RegistryMismatch, match="changes what it is given"):
        pusher.push([], [], [manifest()])


def test_one_token_does_for_a_push(world, local, tmp_path):
    with FakeRegistry(users={"me": "secret"}) as registry:
        world.credentials.set(registry.host, "me", lambda: b"secret")
        pusher = Pusher(world.client(), at(registry), world.clock.patience)
        pusher.push([local.blob(b"layer")], [local.blob(b"config")], [manifest()])
        assert len(registry.asked("GET", "/token")) == 1


def test_a_login_mounts_what_it_may_read(world, local):
    with FakeRegistry(users={"me": "secret"}) as registry:
        world.credentials.set(registry.host, "me", lambda: b"secret")
        registry.blob("lib/base", b"layer")
        pusher = Pusher(world.client(), at(registry), world.clock.patience)
        blob = local.blob(b"layer", at(registry, "lib/base"))
        assert pusher.push([blob], [], []) == {blob.digest: "mounted"}
        [asked] = registry.asked("GET", "/token.*lib%2Fbase")
        assert "repository%3Alib%2Fbase%3Apull" in asked.path


def test_a_login_that_may_not_read_the_other_repository_sends_the_bytes(world, local):
    with FakeRegistry(users={"me": "secret"}) as registry:
        world.credentials.set(registry.host, "me", lambda: b"secret")
        registry.blob("lib/base", b"layer")
        registry.fault("GET", "/token.*lib%2Fbase", Reply(403), times=9)
        pusher = Pusher(world.client(), at(registry), world.clock.patience)
        blob = local.blob(b"layer", at(registry, "lib/base"))
        assert pusher.push([blob], [], []) == {blob.digest: "sent"}


def test_several_blobs_go_at_once(pusher, registry, local):
    meeting = threading.Barrier(3, timeout=10)

    def before(method, path):
        if method == "PUT" and UPLOADS in path:
            meeting.wait()

    registry.before = before
    pusher.push([local.blob(b"%d" % n) for n in range(3)], [], [])
    assert len(registry.blobs) == 3


def test_a_push_that_is_cancelled_ends(pusher, registry, local):
    pusher.chunk = 1 << 20
    registry.before = lambda method, _path: method == "PATCH" and pusher.ended.set()
    content = hashlib.sha256(b"").digest() * (1 << 17)
    with pytest.raises(Cancelled):
        pusher.push([local.blob(content)], [], [manifest()])
    assert registry.manifests == {}


def test_nothing_is_kept_of_a_push_to_nobody(world, local):
    pusher = Pusher(world.client(), Repository("127.0.0.1:1", "lib/app"), world.clock.patience)
    with pytest.raises(RegistryError, match="connection refused; check the address"):
        pusher.push([local.blob(b"layer")], [], [manifest()])


def test_a_registry_at_another_address_is_asked_by_its_name(world, registry, local):
    host = "registry.example:5000"
    address = ("127.0.0.1", registry.server.server_address[1])
    http = Http({"http_proxy": "http://127.0.0.1:1"}, 2, {host: address})
    client = Client(http, Hosts({host: HostRules(plain_http=True)}), world.credentials)
    Pusher(client, Repository(host, "lib/app")).push([local.blob(b"layer")], [], [manifest()])
    http.close()
    assert {seen.headers["host"] for seen in registry.requests} == {host}
    assert registry.manifests["lib/app", "1"] == (MANIFEST, b"{}")
