"""What containers call a machine."""

import os

import pytest

from pipelines._travel.travelling import MACHINES
from pipelines.engine import machines
from pipelines.engine.keys import normal_platform


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv6l", "linux/arm/v6"),
        ("armv7l", "linux/arm/v7"),
        ("i686", "linux/386"),
        ("loongarch64", "linux/loong64"),
        ("ppc64le", "linux/ppc64le"),
        ("s390x", "linux/s390x"),
    ],
)
def test_a_machine_has_the_platform_that_images_name(machine, platform):
    assert machines.platform(machine) == normal_platform(platform) == platform
    assert machines.architecture(machine) == platform.split("/")[1]


def test_without_a_name_it_is_this_machine():
    assert machines.platform() == machines.platform(os.uname().machine)


def test_volumes_travel_under_the_name_of_the_machine_on_either_engine():
    assert {machines.architecture(name): name for name in MACHINES.values()} == MACHINES
