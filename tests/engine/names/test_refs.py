"""Refs: found as `git checkout` finds them."""

import pytest

from pipelines.engine.errors import SourceError
from pipelines.engine.names.refs import NEWEST, Pinned, Refs, latest, matches

A, B, C, T = "a" * 40, "b" * 40, "c" * 40, "d" * 40
LISTING = f"""ref: refs/heads/main\tHEAD
{A}\tHEAD
{A}\trefs/heads/main
{B}\trefs/heads/release/1
{C}\trefs/pull/7/head
{T}\trefs/tags/v1.0.0
{B}\trefs/tags/v1.0.0^{{}}
{C}\trefs/tags/both
{A}\trefs/heads/both
"""
REFS = Refs.of_listing("https://host/x", LISTING)


@pytest.mark.parametrize(
    ("name", "full", "commit"),
    [
        ("HEAD", "refs/heads/main", A),
        ("main", "refs/heads/main", A),
        ("refs/heads/main", "refs/heads/main", A),
        ("release/1", "refs/heads/release/1", B),
        ("v1.0.0", "refs/tags/v1.0.0", B),
        ("refs/tags/both", "refs/tags/both", C),
        ("both", "refs/heads/both", A),
        ("pull/7/head", "refs/pull/7/head", C),
        (B, "", B),
    ],
)
def test_a_name_is_found(name, full, commit):
    assert REFS.find(name) == Pinned(full, commit)


def test_the_newest_is_a_tag():
    assert REFS.find(NEWEST) == Pinned("refs/tags/v1.0.0", B)
    with pytest.raises(SourceError, match="no tag is a semantic version"):
        Refs.of_listing("u", f"{A}\trefs/tags/latest").find(NEWEST)


@pytest.mark.parametrize("name", ["mian", "refs/heads/v1.0.0", "abc123", "refs/tags/main"])
def test_a_name_that_is_not_there_is_an_error_that_says_what_is(name):
    with pytest.raises(SourceError, match=r"https://host/x: there is no .*such as"):
        REFS.find(name)


def test_the_nearest_name_is_suggested():
    with pytest.raises(SourceError, match=r"no branch 'mian' .* such as main"):
        REFS.find("refs/heads/mian")


def test_an_empty_repository_has_no_head():
    with pytest.raises(SourceError, match="HEAD names no commit"):
        Refs.of_listing("u", "").find("HEAD")


def test_names_are_listed_by_pattern():
    assert REFS.named("refs/heads/", ()) == ("main", "release/1", "both")
    assert REFS.named("refs/heads/", ("release/*",)) == ("release/1",)
    assert REFS.named("refs/tags/", ("v*",)) == ("v1.0.0",)
    assert REFS.named("refs/tags/", ("refs/heads/*",)) == ()


def test_a_tag_object_is_kept_beside_its_commit():
    assert REFS.tags() == (("refs/tags/both", C), ("refs/tags/v1.0.0", T))


@pytest.mark.parametrize(
    ("pattern", "matched"), [("main", True), ("heads/main", True), ("ain", False), ("m*", True)]
)
def test_a_pattern_matches_from_the_end(pattern, matched):
    assert matches(pattern, "refs/heads/main") is matched


@pytest.mark.parametrize(
    ("tags", "highest"),
    [
        (["v1.9.0", "v1.10.0", "v1.2.0"], "v1.10.0"),
        (["v2.0.0-rc.1", "v1.0.0"], "v2.0.0-rc.1"),
        (["v1.0.0-rc.10", "v1.0.0-rc.9", "v1.0.0-alpha"], "v1.0.0-rc.10"),
        (["v1.0.0-rc", "v1.0.0", "v1.0.0-rc.1"], "v1.0.0"),
        (["v1", "v1.0.1"], "v1.0.1"),
        (["v01.0.0", "1.0.0", "latest"], None),
    ],
)
def test_the_latest_version_is_the_highest(tags, highest):
    assert latest(tags) == highest
