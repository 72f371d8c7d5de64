"""What cache volumes are called where caches are kept."""

import pytest

from pipelines.caches.volumes import head_of, kind_of


@pytest.mark.parametrize(
    ("key", "kind"),
    [("go-modules", "download"), ("npm", "download"), ("go-build-1.26", "build"), ("c", "build")],
)
def test_what_is_not_known_to_be_downloads_is_what_a_build_made(key, kind):
    assert kind_of(key) == kind


def test_builds_of_two_machines_never_mix_and_downloads_are_the_same_everywhere():
    assert head_of("c", "x86_64") != head_of("c", "aarch64")
    assert head_of("go-modules", "x86_64") == head_of("go-modules", "aarch64")


def test_equal_keys_of_two_namespaces_have_two_heads():
    assert head_of("c", "x") != head_of("c", "x", "other")
