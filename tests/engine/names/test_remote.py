"""Addresses of repositories: what goes to git, and what must go nowhere."""

import pytest

from pipelines.engine.errors import QueryError
from pipelines.engine.names.remote import Remote, on_network, parse, redact, relative


@pytest.mark.parametrize(
    ("text", "url", "protocol"),
    [
        ("https://host/a/b.git", "https://host/a/b.git", "https"),
        ("https://host/a/b/", "https://host/a/b", "https"),
        ("host.example/a/b", "https://host.example/a/b", "https"),
        ("http://host:8080/a?x=1", "http://host:8080/a?x=1", "http"),
        ("ssh://host/a", "ssh://git@host/a", "ssh"),
        ("ssh://me@host:22/a", "ssh://me@host:22/a", "ssh"),
        ("git@host:a/b.git", "git@host:a/b.git", "ssh"),
        ("host:a/b.git", "git@host:a/b.git", "ssh"),
        ("git://host/a", "git://host/a", "git"),
        ("file:///a/b", "file:///a/b", "file"),
        ("/a/../b", "file:///b", "file"),
        ("./a", "file:///work/a", "file"),
        ("..", "file:///", "file"),
    ],
)
def test_an_address_is_what_git_takes(text, url, protocol):
    assert parse(text, "/work").remote == Remote(url, protocol)


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [
        ("https://me:p%40ss@host/a", "me", "p@ss"),
        ("https://token@host/a", "token", ""),
        ("https://:pw@host/a", "", "pw"),
        ("ssh://me:pw@host/a", "", "pw"),
    ],
)
def test_credentials_are_taken_out(text, user, password):
    found = parse(text, "/")
    assert (found.username, found.password) == (user, password)
    assert "p@ss" not in found.remote.url
    assert "token" not in repr(found)
    assert "pw" not in found.remote.url


def test_a_fragment_names_a_ref_and_a_directory():
    found = parse("https://host/a#v1:sub/dir", "/")
    assert (found.remote.url, found.ref, found.subdir) == ("https://host/a", "v1", "sub/dir")


@pytest.mark.parametrize(
    "text", ["", "-u", "--upload-pack=x", "ext::sh -c x", "ftp://h/a", "https://h", "a b", "x\ny"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(QueryError, match="git"):
        parse(text, "/")


def test_a_refusal_does_not_say_the_password():
    with pytest.raises(QueryError) as caught:
        parse("ftp://me:hunter2@host/a", "/")
    assert "hunter2" not in str(caught.value)
    assert "***@host" in str(caught.value)


def test_credentials_are_hidden_in_a_text():
    text = "unable to access 'https://u:p@h/x': no; http://t@h; ssh://git@h/a; ssh://a:b@h"
    hidden = "unable to access 'https://***@h/x': no; http://***@h; ssh://git@h/a; ssh://a:***@h"
    assert redact(text) == hidden


@pytest.mark.parametrize(
    ("base", "url", "found"),
    [
        ("https://h/a/b.git", "../c.git", "https://h/a/c.git"),
        ("git@h:a/b", "../c", "git@h:a/c"),
        ("ssh://git@h/a/b", "./c", "ssh://git@h/a/b/c"),
        ("/r/a", "../b", "file:///r/b"),
        ("https://h/a", "https://other/x", "https://other/x"),
        ("/r/a", "/r/b", "file:///r/b"),
    ],
)
def test_a_submodule_is_found_from_its_repository(base, url, found):
    assert relative(parse(base, "/").remote, url).url == found


@pytest.mark.parametrize("url", ["/etc", "file:///etc"])
def test_a_remote_repository_can_not_name_a_path_of_this_machine(url):
    with pytest.raises(QueryError, match="may not name"):
        relative(parse("https://h/a", "/").remote, url)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://h/x", True), ("ssh://h/x", True), ("git@h:x", True), ("git://h/x", True),
        ("/x", False), ("./a@b:c", False), ("x", False), ("h:x", False), ("file:///x", False),
        ("unix:///x", False),
    ],
)  # fmt: skip
def test_a_path_is_told_from_an_address(text, found):
    assert on_network(text) is found
