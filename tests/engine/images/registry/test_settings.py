"""The configuration of registries: which file says what, and who wins."""

import pytest

from pipelines.engine.errors import RegistryError
from pipelines.engine.images.registry.settings import hosts


@pytest.fixture
def home(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "containers").mkdir()
    return tmp_path


def read(home, **environ):
    system = home / "etc"
    return hosts({"HOME": str(home), "XDG_CONFIG_HOME": str(home), **environ}, system)


def urls(found, host, **options):
    return [each.url("lib/app", "x") for each in found.endpoints(host, **options)]


def own(home, text):
    (home / "pipelines" / "config.toml").write_text(text)


def test_a_registry_speaks_tls_and_loopback_does_not(home):
    found = read(home)
    assert urls(found, "r.example:5000") == ["https://r.example:5000/v2/lib/app/x"]
    for host in ("localhost:5000", "127.0.0.1", "[::1]:5000"):
        assert urls(found, host) == [f"http://{host}/v2/lib/app/x"]


def test_the_default_registry_answers_at_an_address_of_its_own(home):
    [url] = urls(read(home), "")
    assert url == "https://registry-1." + "docker.io/v2/lib/app/x"


def test_the_configuration_file_names_mirrors_authorities_and_plain_http(home):
    own(
        home,
        """
        [registries."docker.io"]
        mirrors = ["m.example/hub", "http://n.example:1"]
        [registries."m.example"]
        ca = "/ca.pem"
        [registries."p.example"]
        plain-http = true
        [registries."i.example"]
        insecure = true
        """,
    )
    found = read(home)
    assert urls(found, "")[:2] == [
        "https://m.example/v2/hub/lib/app/x",
        "http://n.example:1/v2/lib/app/x",
    ]
    assert len(urls(found, "", write=True)) == 1
    assert found.endpoints("")[0].trust.authorities == ("/ca.pem",)
    assert urls(found, "p.example") == ["http://p.example/v2/lib/app/x"]
    secure, plain = found.endpoints("i.example")
    assert (secure.scheme, secure.trust.verify, plain.scheme) == ("https", False, "http")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[registries.r]\nmirror = 'x'", "has mirror; it knows"),
        ("[registries.r]\nca = 3", "has 3 where"),
        ("registries = 3", "must be tables"),
        ("[registries", "reading .*config.toml"),
    ],
)
def test_a_wrong_configuration_is_an_error(home, text, words):
    own(home, text)
    with pytest.raises(RegistryError, match=words):
        read(home)


def test_the_environment_names_mirrors_and_insecure_registries(home):
    found = read(
        home,
        PIPELINES_REGISTRY_MIRRORS="m.example r.example=n.example",
        PIPELINES_INSECURE_REGISTRIES="i.example",
    )
    assert urls(found, "")[0].startswith("https://m.example/")
    assert urls(found, "r.example")[0].startswith("https://n.example/")
    assert len(found.endpoints("i.example")) == 2


def test_registries_conf_is_understood(home):
    (home / "containers" / "registries.conf").write_text(
        """
        unqualified-search-registries = ["x"]
        [[registry]]
        prefix = "docker.io"
        location = "proxy.example/hub"
        [[registry.mirror]]
        location = "m.example:5000"
        insecure = true
        [[registry]]
        location = "bad.example"
        blocked = true
        """
    )
    found = read(home)
    assert urls(found, "") == [
        "https://m.example:5000/v2/lib/app/x",
        "http://m.example:5000/v2/lib/app/x",
        "https://proxy.example/v2/hub/lib/app/x",
    ]
    assert found.of("bad.example").blocked


def test_our_own_mirrors_come_before_those_of_other_files(home):
    own(home, '[registries."docker.io"]\nmirrors = ["ours.example"]')
    conf = home / "other.conf"
    conf.write_text(
        '[[registry]]\nlocation="docker.io"\n[[registry.mirror]]\nlocation="theirs.example"'
    )
    found = read(home, CONTAINERS_REGISTRIES_CONF=str(conf))
    assert [each.host for each in found.endpoints("")][:2] == ["ours.example", "theirs.example"]


def test_authorities_are_found_in_certs_d(home):
    place = home / "etc" / "docker" / "certs.d" / "r.example:5000"
    place.mkdir(parents=True)
    (place / "ca.crt").write_text("")
    [endpoint] = read(home).endpoints("r.example:5000")
    assert endpoint.trust.authorities == (str(place / "ca.crt"),)
