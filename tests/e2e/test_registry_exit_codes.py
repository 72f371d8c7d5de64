# ruff: noqa: F401, F811 - fixtures of another module
"""What a registry does wrong, as the exit codes of the command."""

import socket

import pytest

from tests.e2e.test_lock import pipelines, registry, show
from tests.e2e.test_registry_faults import NAME
from tests.fake_registry import Body, Reply

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox]


@pytest.mark.parametrize(
    ("method", "path", "fault", "code", "words"),
    [
        ("HEAD", "manifests", Reply(404), 6, "no such tag, or no such repository"),
        ("HEAD", "manifests", Reply(401), 6, "docker login"),
        ("HEAD", "manifests", Reply(429, {"retry-after": "9999"}), 6, "rate limit"),
        ("GET", "blobs", Body(lambda body: body[::-1]), 7, "digest to"),
    ],
)
def test_a_registry_that_refuses_is_6_and_one_that_lies_is_7(  # noqa: PLR0917
    pipelines,
    registry,
    method,
    path,
    fault,
    code,
    words,
):
    registry.fault(method, path, fault, times=99)
    ran = pipelines("run", *show(registry))
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr
    assert ran.stdout == ""


def test_a_registry_that_is_down_is_6(pipelines):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    ran = pipelines("run", "show", "--image", f"{host}/{NAME}:1")
    assert ran.returncode == 6
    assert "connection refused" in ran.stderr
