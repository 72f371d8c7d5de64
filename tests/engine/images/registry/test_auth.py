"""Challenges, tokens, and who we are."""

import json
import stat
from base64 import b64encode

import pytest

from pipelines.engine.errors import RegistryError
from pipelines.engine.images.registry.auth import challenges
from pipelines.engine.images.registry.client import Repository
from pipelines.engine.images.registry.credentials import Credentials
from tests.fake_registry import FakeRegistry, Reply

REPOSITORY = "lib/app"


@pytest.fixture
def registry():
    with FakeRegistry(users={"me": "s3cret"}) as running:
        running.image(REPOSITORY, "1", [b"tar"])
        running.image("lib/other", "1", [b"tar"])
        yield running


def get(client, registry, name=REPOSITORY, **options):
    with client.request(Repository(registry.host, name), "GET", "manifests/1", **options) as answer:
        return answer.status


def pack(text):
    return b64encode(text.encode()).decode()


def test_challenges_are_read_with_quotes_commas_and_several_schemes():
    header = 'Bearer realm="https://a/t?x=1,2",service="s \\"q\\"", scope="a:b:c,d" , Basic realm=r'
    bearer, basic = challenges(header)
    assert bearer.parameters == {
        "realm": "https://a/t?x=1,2", "service": 's "q"', "scope": "a:b:c,d"
    }  # fmt: skip
    assert (basic.scheme, basic.parameters) == ("basic", {"realm": "r"})


def test_a_session_credential_is_exchanged_for_a_token(world, registry):
    world.credentials.set(registry.host, "me", lambda: b"s3cret\n")
    assert get(world.client(), registry) == 200
    [asked] = registry.asked("GET", "/token")
    assert "scope=repository%3Alib%2Fapp%3Apull" in asked.path


def test_an_anonymous_token_is_asked_for_without_a_credential(world, registry):
    registry.private = False
    assert get(world.client(), registry) == 200
    assert "authorization" not in registry.asked("GET", "/token")[0].headers


def test_a_token_is_used_again_and_another_repository_asks_for_its_own_at_once(world, registry):
    registry.private = False
    client = world.client()
    get(client, registry)
    get(client, registry)
    get(client, registry, "lib/other")
    assert len(registry.asked("GET", "/token")) == 2
    assert len(registry.asked("GET", "manifests")) == 4  # one 401 in all


def test_a_token_is_renewed_before_it_expires(world, registry):
    registry.private = False
    client = world.client()
    get(client, registry)
    world.clock.time += 291
    get(client, registry)
    assert len(registry.asked("GET", "/token")) == 2


def test_a_token_that_is_refused_is_renewed_once(world, registry):
    registry.private = False
    client = world.client()
    get(client, registry)
    registry.tokens.clear()
    registry.tokens["token-0"] = set()
    assert get(client, registry) == 200


def test_more_scopes_are_asked_for_together(world, registry):
    world.credentials.set(registry.host, "me", lambda: b"s3cret")
    client = world.client()
    where = Repository(registry.host, REPOSITORY)
    scopes = ("repository:lib/other:pull",)
    client.request(where, "POST", "blobs/uploads/", write=True, scopes=scopes).close()
    [asked] = registry.asked("GET", "/token")
    assert asked.path.count("scope=") == 2
    assert "lib%2Fapp%3Apull%2Cpush" in asked.path


def test_basic_is_answered_with_the_credential_and_then_at_once(world, registry):
    registry.auth = "basic"
    world.credentials.set(registry.host, "me", lambda: b"s3cret")
    client = world.client()
    get(client, registry)
    get(client, registry)
    assert len(registry.requests) == 3


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_wrong_password_is_told_without_telling_it(world, registry, auth):
    registry.auth = auth
    world.credentials.set(registry.host, "me", lambda: b"wr0ng")
    with pytest.raises(RegistryError, match="check the user and password") as failure:
        get(world.client(), registry)
    assert "wr0ng" not in str(failure.value)


def test_a_credential_that_is_taken_back_is_used_no_more(world, registry):
    world.credentials.set(registry.host, "me", lambda: b"s3cret")
    client = world.client()
    get(client, registry)
    world.credentials.unset(registry.host)
    with pytest.raises(RegistryError, match="anonymously"):
        get(client, registry)


def test_the_token_service_is_asked_again_when_it_fails(world, registry):
    registry.private = False
    registry.fault("GET", "/token", Reply(503), times=2)
    assert get(world.client(), registry) == 200
    assert world.clock.slept == [0.5, 1.0]


def test_a_token_service_that_talks_nonsense_is_an_error(world, registry):
    registry.fault("GET", "/token", Reply(200, {}, b"<html>"))
    with pytest.raises(RegistryError, match="something else than a token"):
        get(world.client(), registry)


def configured(tmp_path, document, **environ):
    (tmp_path / ".docker").mkdir(exist_ok=True)
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(document))
    return Credentials({"HOME": str(tmp_path), **environ})


@pytest.mark.parametrize("name", ["r.example", "https://r.example", "https://r.example/v1/"])
def test_dockers_file_names_a_host_in_several_ways(tmp_path, name):
    found = configured(tmp_path, {"auths": {name: {"auth": pack("u:p:w")}}}).find("r.example")
    assert (found.username, found.password) == ("u", "p:w")


def test_the_default_registry_has_one_credential_under_all_its_names(tmp_path):
    server = "https://index." + "docker.io/v1/"
    credentials = configured(tmp_path, {"auths": {server: {"auth": pack("u:p")}}})
    assert credentials.find("docker.io").username == "u"
    credentials.set("docker.io", "v", lambda: b"w")
    assert credentials.find("index." + "docker.io").username == "v"


def test_a_repositorys_own_entry_goes_before_its_hosts(tmp_path):
    auths = {
        "r.example": {"auth": pack("host:p")},
        "r.example/team": {"auth": pack("team:p")},
        "r.example/team/app": {"auth": pack("app:p")},
    }
    credentials = configured(tmp_path, {"auths": auths})
    names = [credentials.find("r.example", n).username for n in ("team/app", "team/x/y", "other")]
    assert names == ["app", "team", "host"]


def test_an_identity_token_is_exchanged_by_oauth(world, registry, tmp_path):
    registry.fault("POST", "/token", Reply(200, {}, b'{"access_token": "token-x"}'))
    registry.tokens["token-x"] = {"repository:lib/app:pull"}
    document = {"auths": {registry.host: {"identitytoken": "id-token"}}}
    world.credentials = configured(tmp_path, document)
    assert get(world.client(), registry) == 200


def test_the_file_of_the_environment_is_the_only_one(tmp_path):
    other = tmp_path / "auth.json"
    other.write_text(json.dumps({"auths": {"r": {"auth": pack("chosen:p")}}}))
    document = {"auths": {"r": {"auth": pack("home:p")}, "s": {"auth": pack("home:p")}}}
    credentials = configured(tmp_path, document, REGISTRY_AUTH_FILE=str(other))
    assert credentials.find("r").username == "chosen"
    assert credentials.find("s") is None


def test_podmans_file_is_read_after_dockers(tmp_path):
    (tmp_path / "containers").mkdir()
    text = json.dumps({"auths": {"r": {"auth": pack("podman:p")}}})
    (tmp_path / "containers" / "auth.json").write_text(text)
    credentials = configured(tmp_path, {}, XDG_RUNTIME_DIR=str(tmp_path))
    assert credentials.find("r").username == "podman"


@pytest.mark.parametrize(
    ("text", "words"), [("{", "not JSON"), ('{"auths": {"r": {"auth": "%%"}}}', "not base64")]
)
def test_a_damaged_file_is_named(tmp_path, text, words):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(RegistryError, match=words) as failure:
        Credentials({"DOCKER_CONFIG": str(tmp_path), "HOME": "/"}).find("r")
    assert str(path) in str(failure.value)


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Install a credential helper that answers what its script prints."""

    def install(script):
        program = tmp_path / "bin" / "docker-credential-fake"
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\nread server\n" + script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")

    return install


@pytest.mark.parametrize("document", [{"credsStore": "fake"}, {"credHelpers": {"r": "fake"}}])
def test_a_helper_is_asked_by_the_hosts_name(tmp_path, helper, document):
    helper('test "$1 $server" = "get r" && echo \'{"Username": "u", "Secret": "p"}\'')
    found = configured(tmp_path, document).find("r")
    assert (found.username, found.password) == ("u", "p")


def test_a_helper_may_give_an_identity_token(tmp_path, helper):
    helper('echo \'{"Username": "<token>", "Secret": "t"}\'')
    assert configured(tmp_path, {"credsStore": "fake"}).find("r").identity_token == "t"


def test_a_helper_that_knows_nothing_means_anonymous(tmp_path, helper):
    helper("echo credentials not found in native keychain; exit 1")
    assert configured(tmp_path, {"credsStore": "fake"}).find("r") is None


@pytest.mark.parametrize(
    ("script", "words"), [("echo locked; exit 1", "locked"), ("echo hm", "something else")]
)
def test_a_helper_that_fails_is_named(tmp_path, helper, script, words):
    helper(script)
    with pytest.raises(RegistryError, match=f"docker-credential-fake.*{words}"):
        configured(tmp_path, {"credsStore": "fake"}).find("r")


def test_a_helper_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(RegistryError, match="docker-credential-none-such is not installed"):
        configured(tmp_path, {"credsStore": "none-such"}).find("r")


def test_a_password_is_not_in_a_credentials_text(tmp_path):
    found = configured(tmp_path, {"auths": {"r": {"auth": pack("u:hush")}}}).find("r")
    assert "hush" not in repr(found)
