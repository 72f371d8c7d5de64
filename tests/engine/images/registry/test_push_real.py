"""The push protocol as Debian's docker-registry speaks it: chunks, mounts, lost answers."""

import os

import pytest

from pipelines.engine.digest import digest_bytes
from pipelines.engine.images.registry.client import Client, Repository
from pipelines.engine.images.registry.hosts import Hosts
from pipelines.engine.images.registry.push import Outbound, Pusher
from pipelines.engine.images.registry.transport import TransportFault
from tests.outside import real_registry


@pytest.fixture
def registry(tmp_path):
    with real_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def pusher(world, registry):
    repository = Repository(registry.host, "lib/app")
    return Pusher(world.client(), repository, world.clock.patience, chunk=1 << 20)


@pytest.fixture
def blob(tmp_path):
    content = os.urandom(5_000_000)
    path = tmp_path / "blob"
    path.write_bytes(content)
    return Outbound(digest_bytes(content), len(content), lambda: path)


def kept(pusher, blob):
    with pusher.client.request(pusher.repository, "GET", f"blobs/{blob.digest}") as answer:
        return digest_bytes(answer.read()) == blob.digest


def test_a_large_blob_goes_in_chunks(pusher, registry, blob):
    assert pusher.push([blob], [], []) == {blob.digest: "sent"}
    assert kept(pusher, blob)
    methods = [request.split()[0] for request in registry.requests()]
    assert methods.count("PATCH") == 5
    assert pusher.push([blob], [], []) == {blob.digest: "kept"}


class LosesOne:
    """Carries requests; the answer to the chunk that begins at `start` is lost, once."""

    def __init__(self, http, start):
        self.http, self.start, self.lost = http, start, 0

    def send(self, request):
        answer = self.http.send(request)
        if request.headers.get("content-range", "").startswith(f"{self.start}-") and not self.lost:
            self.lost += 1
            answer.close()
            raise TransportFault("broken", "the answer broke off")
        return answer


def test_an_upload_whose_answer_is_lost_is_started_anew(world, pusher, registry, blob):
    """This registry forgets an upload that does not stand where its address says."""
    carrier = LosesOne(world.http, 2 << 20)
    pusher.client = Client(carrier, Hosts(), world.credentials, world.clock.patience)
    assert pusher.push([blob], [], []) == {blob.digest: "sent"}
    methods = [request.split()[0] for request in registry.requests()]
    assert (carrier.lost, methods.count("PATCH"), methods.count("POST")) == (1, 3 + 5, 2)
    assert kept(pusher, blob)


def test_a_blob_is_mounted_from_another_repository(world, registry, pusher, blob):
    pusher.push([blob], [], [])
    other = Pusher(world.client(), Repository(registry.host, "team/app"), world.clock.patience)
    never = Outbound(blob.digest, blob.size, lambda: pytest.fail("asked for"), pusher.repository)
    assert other.push([never], [], []) == {blob.digest: "mounted"}
    assert kept(other, blob)
