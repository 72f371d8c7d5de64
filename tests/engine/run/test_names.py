"""Names that images leave under."""

from pathlib import Path

import pytest

from pipelines.engine.errors import ImageError, QueryError
from pipelines.engine.run.names import Place, destination, place

HERE = Path("/work-dir")


@pytest.mark.parametrize(
    ("name", "path", "tag"),
    [
        ("./images:app", "/work-dir/images", "app"),
        ("../images", "/work-dir/../images", "latest"),
        ("/var/images:1.0", "/var/images", "1.0"),
        ("/var/a:b/images", "/var/a:b/images", "latest"),
        ("oci:images:1", "/work-dir/images", "1"),
        ("oci:/images", "/images", "latest"),
    ],
)
def test_a_path_is_a_layout_s(name, path, tag):
    assert place(name, HERE) == Place(Path(path), tag)


@pytest.mark.parametrize("name", ["app", "app:1", "localhost:5000/team/app:1"])
def test_a_reference_is_none(name):
    assert place(name, HERE) is None


@pytest.mark.parametrize("name", ["./images:a b", "oci::x", "oci:"])
def test_what_is_neither_is_refused(name):
    with pytest.raises(ImageError):
        place(name, HERE)


def test_a_digest_is_not_to_be_chosen():
    with pytest.raises(QueryError, match=r"publish to app:1@sha256:.*; say app:1$"):
        destination("publish to", "app:1@sha256:" + "0" * 64)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("app", "docker.io/library/app:latest"),
        ("team/app:1", "docker.io/team/app:1"),
        ("host:5000/app", "host:5000/app:latest"),
    ],
)
def test_a_reference_is_spelled_out(text, full):
    assert destination("publish to", text).full == full
