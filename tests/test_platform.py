"""Platforms: what Go can build for, and nothing else."""

import copy
import pickle
import shutil
import subprocess

import dagger
import pytest

from pipelines import Platform, PlatformError, UsageError
from pipelines._targets import pairs


@pytest.mark.parametrize("given", [None, ["linux/amd64"], 1])
def test_a_platform_that_is_no_text_is_refused(given):
    with pytest.raises(PlatformError, match="a platform is a text"):
        Platform.parse(given)


def test_a_platform_is_a_dagger_platform_with_parts():
    platform = Platform.parse("linux/arm/v6")
    assert (platform.os, platform.arch, platform.variant) == ("linux", "arm", "v6")
    assert isinstance(platform, dagger.Platform)
    assert platform == Platform("linux", "arm", "v6") == "linux/arm/v6"


def test_a_platform_without_a_variant_has_an_empty_one():
    assert Platform("linux", "amd64").variant == ""


def test_a_platform_survives_copying_and_pickling():
    platform = Platform("linux", "arm", "v7")
    for twin in (copy.deepcopy(platform), pickle.loads(pickle.dumps(platform))):
        assert twin == platform
        assert type(twin) is Platform


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("linux", "os/arch"),
        ("linux/", "os/arch"),
        ("a/b/c/d", "os/arch"),
        ("linus/amd64", "did you mean linux?"),
        ("linux/x86_64", "did you mean amd64?"),
        ("linux/aarch64", "did you mean arm64?"),
        ("darwin/386", "darwin has: amd64, arm64"),
        ("linux/arm/v9", "known: v5, v6, v7"),
        ("linux/arm/6", "did you mean v6?"),
        ("linux/s390x/v1", "has no variants"),
        ("linux-arm64", "did you mean linux/arm64?"),
    ],
)
def test_a_wrong_platform_says_what_is_right(text, hint):
    with pytest.raises(PlatformError) as caught:
        Platform.parse(text)
    assert hint in str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2


@pytest.mark.skipif(not shutil.which("go"), reason="needs Go to compare with")
def test_the_table_is_that_of_the_toolchain():
    ran = subprocess.run(["go", "tool", "dist", "list"], capture_output=True, text=True)
    assert set(pairs()) == set(ran.stdout.split())
