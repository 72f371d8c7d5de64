"""Layers on their way: several at once, resumed, each once, and nothing left of what failed."""

import gzip
import os
import threading

import pytest

from pipelines.engine.errors import (
    Cancelled,
    RegistryError,
    RegistryMismatch,
    RegistryUnreachable,
)
from pipelines.engine.images.blobs import ImageBlobs
from pipelines.engine.images.info import Layer
from pipelines.engine.images.registry.blobs import RegistryBlobs
from pipelines.engine.images.registry.hosts import HostRules, Hosts
from pipelines.engine.images.registry.retry import Patience
from tests.fake_registry import Body, FakeRegistry, Reply, Reset

NAME = "lib/app"
BIG = bytes(os.urandom(1 << 20)) * 3


class Pulls:
    """The blobs of one session over one directory."""

    def __init__(self, world, root, registry, patience=None, hosts=None, **options):
        self.kept = ImageBlobs(root)
        self.registry = registry
        self.reference = f"{registry.host}/{NAME}:1"
        patience = patience or world.clock.patience
        self.blobs = RegistryBlobs(world.client(hosts), self.kept, patience, **options)

    def read(self, *layers, **options):
        """Read layers whole, in order."""
        with self.blobs.fetching(self.reference, layers, **options) as opened:
            found = []
            for layer in layers:
                with opened(layer) as file:
                    found.append(b"".join(iter(lambda: file.read(1 << 16), b"")))
        return found

    def files(self):
        return sorted(path.name for path in self.kept.root.rglob("*") if path.is_file())


@pytest.fixture
def pulls(world, registry, tmp_path):
    made = Pulls(world, tmp_path / "images", registry)
    yield made
    made.blobs.close()


def layer(registry, data):
    digest = registry.blob(NAME, data)
    return Layer(digest, digest, "x", len(data))


def test_layers_are_read_and_kept(pulls, registry):
    one, two = layer(registry, b"one"), layer(registry, BIG)
    assert pulls.read(one, two) == [b"one", BIG]
    assert pulls.kept.get(two.blob) == BIG


def test_a_layer_of_the_store_is_not_fetched(pulls, registry):
    one = layer(registry, b"one")
    pulls.read(one)
    registry.requests.clear()
    assert pulls.read(one) == [b"one"]
    assert registry.requests == []


def test_a_layer_is_read_while_it_comes(pulls, registry):
    one = layer(registry, BIG)
    registry.fault("GET", "blobs", Body(pause=0.0, change=lambda body: body))
    with pulls.blobs.fetching(pulls.reference, [one]) as opened, opened(one) as file:
        assert file.read(4) == BIG[:4]
        file.seek(0)
        assert file.read(8) == BIG[:8]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_goes_on_where_it_was(pulls, registry, ranges, world):
    one = layer(registry, BIG)
    registry.ranges = ranges
    registry.fault("GET", "blobs", Body(lambda body: body[: 1 << 20]))
    registry.fault("GET", "blobs", Reset())
    assert pulls.read(one) == [BIG]
    assert [s.headers.get("range") for s in registry.asked("GET", "blobs")] == [
        None,
        "bytes=1048576-",
        "bytes=1048576-",
    ]


def test_a_body_that_breaks_off_each_time_is_given_up_and_leaves_nothing(pulls, registry, world):
    one = layer(registry, b"x" * 1000)
    registry.fault("GET", "blobs", Body(lambda body: body[:0]), times=99)
    with pytest.raises(RegistryUnreachable, match="after 0 of 1000 bytes and several attempts"):
        pulls.read(one)
    assert len(registry.requests) == 5
    assert pulls.files() == ["pulling"]


def test_a_body_that_creeps_is_broken_off(pulls, registry, world):
    one = layer(registry, b"y" * 1000)
    registry.fault("GET", "blobs", Body(pause=0.001))
    world.clock.now = iter(range(0, 1_000_000, 20)).__next__
    slow = Pulls(world, pulls.kept.root, registry, world.clock.patience)
    assert slow.read(one) == [b"y" * 1000]
    assert len(registry.requests) > 1
    slow.blobs.close()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Body(lambda body: b"?" + body[1:]), "bytes that digest to"),
        (Body(lambda body: body + b"more", declared=1004), "more than the 1000 bytes announced"),
        (Body(lambda body: body[:10], declared=10), "10 bytes instead of 1000"),
    ],
)
def test_what_is_not_its_digest_or_length_is_refused_and_leaves_nothing(
    pulls, registry, fault, words
):
    one = layer(registry, b"x" * 1000)
    registry.fault("GET", "blobs", fault, times=99)
    with pytest.raises(RegistryMismatch, match=words):
        pulls.read(one)
    assert pulls.files() == ["pulling"]


def test_the_last_bytes_are_not_given_before_they_are_known_to_be_right(pulls, registry):
    one = layer(registry, b"x" * 1000)
    registry.fault("GET", "blobs", Body(lambda body: b"?" + body[1:]))
    with pulls.blobs.fetching(pulls.reference, [one]) as opened, opened(one) as file:
        with pytest.raises(RegistryMismatch):
            file.read(1000)


@pytest.mark.parametrize(("status", "times"), [(404, 99), (403, 99), (503, 99)])
def test_a_refused_layer_is_an_error(pulls, registry, status, times):
    one = layer(registry, b"x")
    registry.fault("GET", "blobs", Reply(status), times=times)
    with pytest.raises(RegistryError) as failure:
        pulls.read(one)
    assert failure.value.status == status
    assert pulls.files() == ["pulling"]


def test_a_damaged_mirror_is_passed_by_when_asked_again(world, registry, tmp_path):
    one = layer(registry, b"x" * 1000)
    with FakeRegistry() as mirror:
        layer(mirror, b"x" * 1000)
        mirror.fault("GET", "blobs", Body(lambda body: body[::-1].replace(b"x", b"y")), times=99)
        hosts = Hosts({registry.host: HostRules(mirrors=(mirror.host,))})
        pulls = Pulls(world, tmp_path, registry, hosts=hosts)
        with pytest.raises(RegistryMismatch):
            pulls.read(one)
        assert pulls.read(one, again=True) == [b"x" * 1000]
        pulls.blobs.close()


def test_one_download_serves_all_who_wait_for_it(pulls, registry):
    one = layer(registry, BIG)
    go = threading.Event()
    registry.before = lambda *_: go.wait(60)
    found = []
    readers = [threading.Thread(target=lambda: found.extend(pulls.read(one))) for _ in range(4)]
    for reader in readers:
        reader.start()
    while sum(flight.users for flight in list(pulls.blobs._flights.values())) < 4:
        pass
    go.set()
    for reader in readers:
        reader.join()
    assert found == [BIG] * 4
    assert len(registry.requests) == 1


def test_two_sessions_of_one_store_fetch_a_layer_once(world, registry, tmp_path):
    one = layer(registry, BIG)
    sessions = [Pulls(world, tmp_path, registry) for _ in range(2)]
    go = threading.Event()
    registry.before = lambda *_: go.wait(60)
    found = []
    readers = [
        threading.Thread(target=lambda each=each: found.extend(each.read(one))) for each in sessions
    ]
    for reader in readers:
        reader.start()
    go.set()
    for reader in readers:
        reader.join()
    assert found == [BIG] * 2
    assert len(registry.requests) == 1
    for each in sessions:
        each.blobs.close()


def test_at_most_four_layers_come_at_once(pulls, registry):
    layers = [layer(registry, bytes([n]) * 10) for n in range(9)]
    busy, most, lock = [0], [0], threading.Lock()
    full = threading.Barrier(4)

    def watch(method, path):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        if len(registry.requests) <= 4:
            full.wait(60)  # four do come at once
        with lock:
            busy[0] -= 1

    registry.before = watch
    assert len(pulls.read(*layers)) == 9
    assert most[0] == 4


def test_a_pull_that_nobody_waits_for_is_given_up(pulls, registry):
    one = layer(registry, BIG)
    registry.fault("GET", "blobs", Body(pause=0.01))

    class Gone(BaseException):
        pass

    def alive():
        raise Gone

    pulls.blobs._alive = alive
    with pytest.raises(Gone):
        pulls.read(one)
    pulls.blobs._pool.shutdown(wait=True)
    assert pulls.files() == ["pulling"]


def test_a_pull_that_is_left_frees_its_place_at_once(pulls, registry):
    stuck = [layer(registry, bytes([n]) * 2000) for n in range(4)]
    registry.fault("GET", "blobs", Body(lambda body: body[:1000] + bytes(1000), pause=60), times=4)
    with pulls.blobs.fetching(pulls.reference, stuck) as opened:
        for each in stuck:
            with opened(each) as file:
                file.read(1)
    assert pulls.read(layer(registry, b"next")) == [b"next"]


def test_the_end_of_the_session_ends_a_download_at_once(world, pulls, registry):
    one = layer(registry, BIG)
    registry.fault("GET", "blobs", Body(pause=0.05), times=99)
    with pulls.blobs.fetching(pulls.reference, [one]) as opened, opened(one) as file:
        file.read(1)
        world.http.close()
        pulls.blobs.close()
        with pytest.raises((Cancelled, RegistryError)):
            while file.read(1 << 16):
                pass


def test_a_gzip_layer_is_unpacked_from_what_comes(pulls, registry):
    from pipelines.engine.images.compression import decompressing

    one = layer(registry, gzip.compress(BIG))
    with pulls.blobs.fetching(pulls.reference, [one]) as opened, opened(one) as file:
        read = decompressing(file)
        assert b"".join(iter(lambda: read(1 << 16), b"")) == BIG


def test_the_patience_of_the_session_is_the_downloads_own(pulls):
    assert isinstance(pulls.blobs._patience, Patience)
