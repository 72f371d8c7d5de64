"""Tags of language images: their parts in any order."""

import pytest

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.variants import Variant, read
from pipelines.engine.images.reference import Reference

SUITES = ("bookworm", "trixie")


@pytest.mark.parametrize(
    ("tag", "variant"),
    [
        ("3.11", Variant("3.11")),
        ("3.11-slim", Variant("3.11", slim=True)),
        ("3.11-slim-bookworm", Variant("3.11", "bookworm", slim=True)),
        ("22-bookworm-slim", Variant("22", "bookworm", slim=True)),
        ("slim", Variant(slim=True)),
        ("trixie", Variant("", "trixie")),
        ("latest", Variant()),
        ("lts-slim", Variant("lts", slim=True)),
        ("3.11-jessie", Variant("3.11-jessie")),  # its reader finds no such version
    ],
)
def test_a_tag_is_a_version_a_suite_and_slim(tag, variant):
    assert read(Reference.parse(f"python:{tag}"), SUITES, "x") == variant


@pytest.mark.parametrize("tag", ["3.11-alpine", "alpine3.20", "22-alpine"])
def test_alpine_is_refused_with_a_reason_and_a_way_out(tag):
    with pytest.raises(ImageError, match=r"Alpine packages come from .*use python:3-slim"):
        read(Reference.parse(f"python:{tag}"), SUITES, "python:3-slim")


def test_windows_is_refused():
    with pytest.raises(ImageError, match="Windows do not run here"):
        read(Reference.parse("golang:1.26-windowsservercore-ltsc2022"), SUITES, "golang:1.26")
