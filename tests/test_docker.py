"""`docker.build`: what it asks of the API."""

import pytest

from pipelines import Platform, UsageError, docker
from pipelines._dagger import dagger


class Source:
    """Takes what a directory is asked for."""

    def docker_build(self, **asked):
        return asked


def test_a_build_asks_for_what_it_was_given():
    asked = docker.build(
        Source(), Platform("linux", "arm64"), dockerfile="x", target="t", args={"A": "1"}
    )
    assert asked == {
        "dockerfile": "x", "platform": "linux/arm64", "target": "t", "secrets": [],
        "build_args": [dagger.BuildArg("A", "1")],
    }  # fmt: skip


def test_a_build_without_anything_is_the_last_stage_of_the_dockerfile():
    asked = docker.build(Source())
    assert (asked["dockerfile"], asked["target"], asked["platform"]) == ("Dockerfile", "", None)


@pytest.mark.parametrize("name", ["", "A=1"])
def test_what_is_no_name_of_an_argument_is_refused(name):
    with pytest.raises(UsageError, match="is no name of a build argument"):
        docker.build(Source(), args={name: "x"})
