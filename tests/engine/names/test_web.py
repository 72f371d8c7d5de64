"""Downloads, decided."""

import pytest

from pipelines.engine.errors import QueryError, SourceError
from pipelines.engine.names import web
from pipelines.engine.names.web import Checksum, Validators

SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b.tar.gz", "b.tar.gz"),
        ("https://h/a/b.tar.gz?x=/y", "b.tar.gz"),
        ("https://h", "index"),
        ("https://h/a/", "index"),
        ("https://h/a/..", "index"),
        ("https://h/a%20b", "a b"),
        ("https://h/a%2Fb", "index"),
    ],
)
def test_a_file_is_named_by_its_address(url, name):
    assert web.default_name(url) == name


def test_credentials_are_taken_out_of_an_address():
    assert web.split("https://u:p%40@h:1/a?q#f") == ("https://h:1/a?q", "u:p@")
    assert web.split("http://h/a") == ("http://h/a", "")


@pytest.mark.parametrize("url", ["", "h/a", "ftp://h/a", "https://", "https://h/a b", "http://[::"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(QueryError, match="not an address of the web"):
        web.split(url)


@pytest.mark.parametrize(
    "text", ["", "a" * 64, "md5:" + "a" * 32, "sha256:" + "A" * 64, "sha256:x"]
)
def test_what_is_no_checksum_is_refused(text):
    with pytest.raises(QueryError, match="sha256"):
        Checksum.parse(text)


def test_a_checksum_that_differs_names_both():
    with pytest.raises(SourceError, match=f"gave sha256:{'b' * 64}, expected {SHA}"):
        Checksum.parse(SHA).check("b" * 64, "https://u:p@h/f?sig=s")


def test_messages_show_no_credentials_and_no_query():
    assert web.shown("https://u:p@h/f?sig=s#x") == "https://h/f"


def test_a_known_body_is_asked_for_by_its_validators():
    asked = web.ask(Validators('"e"', "Mon"), "Bearer x")
    assert asked["if-none-match"] == '"e"'
    assert asked["if-modified-since"] == "Mon"
    assert asked["authorization"] == "Bearer x"
    assert "if-none-match" not in web.ask(None, "")


def test_the_rest_is_asked_for_only_of_the_same_bytes():
    asked = web.ask(Validators('"e"'), "", 10)
    assert (asked["range"], asked["if-range"]) == ("bytes=10-", '"e"')
    assert Validators('W/"e"').strong == ""


@pytest.mark.parametrize(
    ("status", "value", "goes_on"),
    [
        (206, "bytes 10-19/20", True),
        (206, "bytes 0-19/20", False),
        (206, "", False),
        (200, "bytes 10-19/20", False),
    ],
)
def test_an_answer_goes_on_or_begins_anew(status, value, goes_on):
    assert web.resumes(status, {"content-range": value}, 10) is goes_on


@pytest.mark.parametrize(
    ("status", "location", "target"),
    [
        (302, "/b", "https://h/b"),
        (307, "http://o/b#f", "http://o/b"),
        (301, "", None),
        (200, "/b", None),
        (304, "/b", None),
    ],
)
def test_a_redirect_leads_on(status, location, target):
    assert web.next_hop("https://h/a", status, {"location": location}) == target


def test_a_redirect_out_of_the_web_is_refused():
    with pytest.raises(SourceError, match="redirects to file:"):
        web.next_hop("https://h/a", 302, {"location": "file:///etc/passwd"})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/a", "https://h:443/b", True),
        ("https://h/a", "http://h/a", False),
        ("https://h/a", "https://h:444/a", False),
        ("https://h/a", "https://h.evil/a", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one, other, same):
    assert (web.origin(one) == web.origin(other)) is same


@pytest.mark.parametrize(
    ("status", "authorized", "way"),
    [
        (401, False, "as authHeader"),
        (403, True, "does not accept"),
        (404, False, "check the address"),
    ],
)
def test_a_refusal_says_what_to_do(status, authorized, way):
    assert way in str(web.explain("https://h/f", status, authorized=authorized))


def test_a_lock_file_has_no_query():
    assert web.lockable("https://h/f") == "https://h/f"
    signed = web.lockable("https://h/f?sig=secret")
    assert signed.startswith("https://h/f?sha256=")
    assert signed != web.lockable("https://h/f?sig=other")


def test_a_service_is_asked_where_it_listens_for_what_it_is_called():
    asked = web.through("127.0.0.1:9", "http://www:80/a?b", {"x": "y"})
    assert asked == ("http://127.0.0.1:9/a?b", {"x": "y", "host": "www:80"})
    assert web.through("", "http://www/a", {}) == ("http://www/a", {})
