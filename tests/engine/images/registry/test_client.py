"""One request: retries, redirects, mirrors, and errors that say what to do."""

import socket

import pytest

from pipelines.engine.errors import RegistryError, RegistryMissing, RegistryUnreachable
from pipelines.engine.images.registry.client import Client, Repository
from pipelines.engine.images.registry.hosts import HostRules, Hosts
from pipelines.engine.images.registry.transport import Body, _fault
from tests.fake_registry import FakeRegistry, Reply, Reset

REPOSITORY = "lib/app"


def at(registry):
    return Repository(registry.host, REPOSITORY)


def get(world, registry, path="manifests/1", **options):
    with world.client(options.pop("hosts", None)).request(
        at(registry), "GET", path, **options
    ) as r:
        return r.status, r.read()


@pytest.fixture
def image(registry):
    return registry.image(REPOSITORY, "1", [b"tar"])


def test_a_manifest_is_given(world, registry, image):
    status, body = get(world, registry)
    assert (status, body) == (200, registry.manifests[REPOSITORY, image][1])


def test_a_connection_is_kept_for_the_next_request(world, registry, image):
    ports = set()
    registry.before = lambda *_: None
    client = world.client()
    for _ in range(3):
        with client.request(at(registry), "GET", "manifests/1") as response:
            response.read()
    assert len(registry.server.open) == 1, ports


def test_a_kept_connection_that_is_gone_is_replaced(world, registry, image):
    get(world, registry)
    registry.server.stop()
    assert get(world, registry)[0] == 200
    assert world.clock.slept == []


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_an_answer_that_means_later_is_asked_for_again(world, registry, image, status):
    registry.fault("GET", "manifests", Reply(status), times=3)
    assert get(world, registry)[0] == 200
    assert world.clock.slept == [0.5, 1.0, 2.0]


def test_a_connection_that_breaks_is_tried_again(world, registry, image):
    registry.fault("GET", "manifests", Reset(), times=2)
    assert get(world, registry)[0] == 200


def test_a_registry_that_keeps_failing_is_an_error_after_five_attempts(world, registry, image):
    registry.fault("GET", "manifests", Reply(503), times=99)
    with pytest.raises(RegistryError, match=r"failed \(503\)") as failure:
        get(world, registry)
    assert (failure.value.status, len(registry.requests)) == (503, 5)


def test_a_request_that_must_not_happen_twice_does_not(world, registry):
    registry.fault("PATCH", "uploads", Reply(503), times=1)
    with pytest.raises(RegistryError):
        world.client().request(
            at(registry), "PATCH", "blobs/uploads/x", body=Body.of(b"x"), write=True, retries=False
        )
    assert len(registry.asked("PATCH")) == 1


def test_a_body_is_sent_anew(world, registry):
    client = world.client()
    with client.request(at(registry), "POST", "blobs/uploads/", write=True) as response:
        place = response.headers["location"]
    registry.fault("PATCH", "uploads", Reply(502), times=1)
    client.request(at(registry), "PATCH", url=place, body=Body.of(b"abc"), write=True).close()
    assert [bytes(data) for data in registry.uploads.values()] == [b"abc"]


def test_retry_after_is_obeyed_once(world, registry, image):
    registry.fault("GET", "manifests", Reply(429, {"retry-after": "7"}), times=1)
    assert get(world, registry)[0] == 200
    assert world.clock.slept == [7.0]


def test_retry_after_may_be_a_date(world, registry, image):
    date = "Mon, 12 Jan 1970 13:46:45 GMT"  # 5 s after the clock's beginning
    registry.fault("GET", "manifests", Reply(503, {"retry-after": date}), times=1)
    assert get(world, registry)[0] == 200
    assert world.clock.slept == [5.0]


def test_a_rate_limit_is_explained(world, registry, image):
    headers = {"retry-after": "3600", "ratelimit-limit": "100;w=21600"}
    registry.fault("GET", "manifests", Reply(429, headers), times=99)
    with pytest.raises(RegistryError) as failure:
        get(world, registry)
    for word in ("429", "100 pulls", "3600 s", "docker login", "mirror", "pipelines lock"):
        assert word in str(failure.value)
    assert (world.clock.slept, len(registry.requests)) == ([], 1)


def test_a_rate_limit_without_retry_after_is_tried_twice(world, registry, image):
    registry.fault("GET", "manifests", Reply(429), times=99)
    with pytest.raises(RegistryError, match="anonymous pulls"):
        get(world, registry)
    assert len(registry.requests) == 3


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, RegistryError, "docker login"),
        (403, RegistryError, "denied"),
        (404, RegistryMissing, "no such tag, or no such repository"),
        (400, RegistryError, r"refused \(400\)"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_not_repeated(world, registry, status, kind, words):
    registry.fault("GET", "manifests", Reply(status), times=9)
    with pytest.raises(kind, match=words) as failure:
        get(world, registry)
    assert registry.host in str(failure.value)
    assert (failure.value.status, len(registry.requests)) == (status, 1)


def test_the_registrys_own_words_are_told(world, registry):
    with pytest.raises(RegistryMissing, match="MANIFEST_UNKNOWN: manifest_unknown") as failure:
        get(world, registry, "manifests/2")
    assert failure.value.codes == ("MANIFEST_UNKNOWN",)


def test_an_accepted_status_is_no_error(world, registry):
    assert get(world, registry, "manifests/2", accept=(404,))[0] == 404


def test_a_registry_that_is_down_is_told_at_once_on_loopback(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(RegistryUnreachable, match="connection refused"):
        world.client().request(Repository(host, "a"), "GET", "manifests/1")
    assert world.clock.slept == []


class NoName:
    """A transport on a machine whose resolver says this."""

    def __init__(self, errno):
        self.error = socket.gaierror(errno, "it says")

    def send(self, request):
        raise _fault(self.error, request.url)


@pytest.mark.parametrize(
    ("errno", "slept"), [(socket.EAI_NONAME, []), (socket.EAI_AGAIN, [0.5, 1.0])]
)
def test_a_name_that_does_not_resolve_is_not_tried_again_for_long(world, errno, slept):
    client = Client(NoName(errno), Hosts(), world.credentials, world.clock.patience)
    with pytest.raises(RegistryUnreachable, match=r"registry\.invalid does not resolve"):
        client.request(Repository("registry.invalid", "a"), "GET", "manifests/1")
    assert world.clock.slept == slept


def test_a_registry_that_never_answers_runs_into_the_deadline(world, registry, image):
    world.http._seconds = 0.05
    registry.before = lambda *_: world.clock.now() and __import__("time").sleep(0.2)
    with pytest.raises(RegistryUnreachable, match="no answer in time"):
        get(world, registry)


def test_a_redirect_is_followed_without_authorization_elsewhere(world, registry):
    world.credentials.set(registry.host, "me", lambda: b"pw")
    registry.users, registry.auth = {"me": "pw"}, "basic"
    with FakeRegistry() as cdn:
        digest = cdn.blob("x", b"content")
        place = {"location": f"{cdn.url}/elsewhere/{digest}?signature=s"}
        client = world.client()
        registry.image(REPOSITORY, "1", [b"t"])
        client.request(at(registry), "GET", "manifests/1").close()  # learn to log in
        registry.fault("GET", "blobs", Reply(307, place))
        with client.request(at(registry), "GET", f"blobs/{digest}") as response:
            assert response.read() == b"content"
        assert "authorization" in registry.requests[-1].headers
        assert "authorization" not in cdn.requests[-1].headers


def test_redirects_that_loop_end(world, registry):
    registry.fault("GET", "", Reply(302, {"location": "/v2/lib/app/manifests/1"}), times=99)
    with pytest.raises(RegistryError, match="redirected more than 10 times"):
        get(world, registry)
    assert len(registry.requests) == 11


def test_a_redirect_to_no_address_is_refused(world, registry):
    registry.fault("GET", "", Reply(302, {"location": "file:///etc/passwd"}))
    with pytest.raises(RegistryError, match="no address"):
        get(world, registry)


def mirrored(registry, *mirrors):
    return Hosts({registry.host: HostRules(mirrors=tuple(m.host for m in mirrors))})


def test_a_mirror_is_asked_first(world, registry, image):
    with FakeRegistry() as mirror:
        mirror.image(REPOSITORY, "1", [b"tar"])
        assert get(world, registry, hosts=mirrored(registry, mirror))[0] == 200
        assert (len(mirror.requests), registry.requests) == (1, [])


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_what_a_mirror_does_not_give_the_registry_does(world, registry, image, status):
    with FakeRegistry() as mirror:
        mirror.fault("GET", "", Reply(status), times=99)
        assert get(world, registry, hosts=mirrored(registry, mirror))[0] == 200
    assert world.clock.slept == []


def test_a_mirror_that_is_down_is_passed_over_and_told_of(world, registry):
    with FakeRegistry() as mirror:
        hosts = mirrored(registry, mirror)
    with pytest.raises(RegistryMissing, match=r"Before that: .*connection refused"):
        get(world, registry, hosts=hosts)


def test_a_mirror_is_never_written_to(world, registry):
    with FakeRegistry() as mirror:
        client = world.client(mirrored(registry, mirror))
        client.request(at(registry), "POST", "blobs/uploads/", write=True).close()
        assert (mirror.requests, len(registry.requests)) == ([], 1)


def test_a_mirror_may_have_a_path(world, registry, image):
    with FakeRegistry() as mirror:
        mirror.image("hub/" + REPOSITORY, "1", [b"tar"])
        hosts = Hosts({registry.host: HostRules(mirrors=(f"http://{mirror.host}/hub",))})
        assert get(world, registry, hosts=hosts)[0] == 200
        assert registry.requests == []


def test_an_insecure_registry_is_spoken_to_without_tls(world, registry, image):
    hosts = Hosts({registry.host: HostRules(insecure=True)})
    assert get(world, registry, hosts=hosts)[0] == 200


def test_a_blocked_registry_is_not_asked(world, registry):
    with pytest.raises(RegistryError, match="blocked"):
        get(world, registry, hosts=Hosts({registry.host: HostRules(blocked=True)}))
    assert registry.requests == []
