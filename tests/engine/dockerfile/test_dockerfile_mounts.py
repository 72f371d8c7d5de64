"""`RUN --mount`."""

import pytest

from pipelines.engine.dockerfile.mounts import RunMount, mount_sources, run_mount
from pipelines.engine.dockerfile.source import Where
from pipelines.engine.errors import DockerfileError

HERE = Where("Dockerfile", 9)


def mount(text):
    return run_mount(text, lambda word: word.replace("$x", "X"), HERE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("target=/a", RunMount("bind", "/a", readonly=True)),
        ("type=bind,src=s,dst=/a,rw", RunMount("bind", "/a", "s")),
        ("type=cache,target=/$x", RunMount("cache", "/X")),
        (
            "type=cache,id=i,target=/a,sharing=locked,uid=1,gid=2,mode=0700,ro",
            RunMount("cache", "/a", id="i", sharing="locked", readonly=True, uid=1, gid=2,
                     mode=0o700),
        ),
        ("type=tmpfs,target=/t,size=64m", RunMount("tmpfs", "/t", size=64 << 20)),
        ("type=secret,id=s,required", RunMount("secret", id="s", readonly=True, required=True)),
        ("type=secret,id=s,env=TOKEN", RunMount("secret", id="s", readonly=True, env="TOKEN")),
        ('type=bind,target=/a,"source=b,c"', RunMount("bind", "/a", "b,c", readonly=True)),
        ("type=bind,from=img,target=/a", RunMount("bind", "/a", from_="img", readonly=True)),
    ],
)  # fmt: skip
def test_a_mount_is_read_with_its_defaults(text, found):
    assert mount(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type=cahce,target=/a", "there is no such type (did you mean cache?)"),
        ("type=cache", "where to? give target=PATH"),
        ("type=cache,target=/a,sharing=x", "it is shared, private or locked"),
        ("type=cache,target=/a,mode=9", "it is an octal number"),
        ("type=bind,target=/a,uid=1", "type=bind has no uid"),
        ("type=bind,target=/a,soruce=b", "has no soruce (did you mean source?)"),
        ("type=tmpfs,target=/a,size=big", "it is bytes, or a number with k, m or g"),
        ("type=bind,target=/a,ro=perhaps", "it is true or false"),
        ("type=secret", "which one? give id=NAME"),
        ("type=secret,id=a,source=b", "give id or source, not both"),
        ("type=bind,target", "'target' is not name=value"),
    ],
)
def test_a_wrong_mount_is_refused_with_its_line(text, said):
    with pytest.raises(DockerfileError) as caught:
        mount(text)
    assert said in str(caught.value)
    assert caught.value.line == 9


def test_sources_are_named_before_anything_is_expanded():
    assert mount_sources(("type=bind,from=a,target=/x", "type=cache,target=/y"), HERE) == ["a"]
    with pytest.raises(DockerfileError, match="variables are not expanded in from"):
        mount_sources(("from=$a,target=/x",), HERE)
