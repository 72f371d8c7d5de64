import pytest

from pipelines.engine.errors import StoreError
from pipelines.engine.store.policy import Disk, Policy, parse_size

GIB = 1 << 30
DISK = Disk(100 * GIB, 50 * GIB, 1000, 500)


def test_the_defaults_follow_the_disk():
    policy = Policy.of(DISK)
    assert (policy.reserved, policy.maximum, policy.min_free) == (10 * GIB, 75 * GIB, 5 * GIB)
    assert policy.min_free_inodes == 50
    assert Policy.of(Disk(1000 * GIB, 0, 0, 0)).reserved == 20 * GIB


def test_settings_override():
    policy = Policy.of(DISK, {"maximum": "1.5 GiB", "keep_days": "2"})
    assert (policy.maximum, policy.keep_seconds) == (3 * GIB // 2, 2 * 86400)


def test_an_unknown_setting_is_refused_with_those_there_are():
    with pytest.raises(StoreError, match="'max'; there are reserved, maximum"):
        Policy.of(DISK, {"max": "1"})


@pytest.mark.parametrize(
    ("text", "size"),
    [("7", 7), ("2k", 2048), ("1MB", 1 << 20), ("3 GiB", 3 * GIB), ("1t", GIB << 10)],
)
def test_a_size_has_a_unit(text, size):
    assert parse_size("maximum", text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1 XB", "1e9"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(StoreError, match="maximum: not a size"):
        parse_size("maximum", text)
