"""References: what names are equal, and what is no name."""

import pytest

from pipelines.engine.errors import ImageError
from pipelines.engine.images.reference import Reference

SHA = "sha256:" + "a" * 64
HUB = "docker" + ".io"


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("golang", "golang:latest"),
        ("golang:1.26", "golang:1.26"),
        ("library/golang", "golang:latest"),
        (f"{HUB}/library/golang:1", "golang:1"),
        (f"index.{HUB}/golang", "golang:latest"),
        ("team/app", "team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("registry:5000/library/app", "registry:5000/library/app:latest"),
        (f"app@{SHA}", f"app@{SHA}"),
        (f"app:1@{SHA}", f"app:1@{SHA}"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
    ],
)
def test_spellings_of_one_name_are_equal(text, spelled):
    assert str(Reference.parse(text)) == spelled
    assert Reference.parse(spelled) == Reference.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Foo",
        "a b",
        "a:",
        "a:b c",
        "a@sha256:12",
        "a@md5:x",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a" * 256,
        f"host.example/{'x' * 256}",
        "ho_st.x/a",
        ":1",
        "a:" + "t" * 129,
        "a\n",
    ],
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(ImageError, match="image reference"):
        Reference.parse(text)
