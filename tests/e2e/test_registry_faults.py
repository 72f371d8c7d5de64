"""Everything that a registry can do wrong, through the SDK: told clearly, and nothing is left."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import threading

import anyio
import dagger
import pytest

from pipelines import connect
from pipelines._session import Session, environment
from tests.fake_registry import Body, FakeRegistry, Reply, Reset

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

NAME = "team/app"
PLATFORMS = ("linux/amd64", "linux/arm64")
LOOP = f"/v2/{NAME}/manifests/1"


def layer(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        running.image(NAME, "1", [layer(a=b"1"), layer(b=b"2" * 100_000)])
        yield running


@pytest.fixture
def name(registry):
    return f"{registry.host}/{NAME}:1"


def left(store):
    """What a failed pull left in the store, besides documents and an empty file of locks."""
    images = store / "images"
    kept = {p.name for p in images.rglob("*") if p.is_file() and p.parent.name == "sha256"}
    layers = list((store / "snapshots").iterdir())
    return [n for n in kept if n.startswith(".")], layers


async def test_an_image_is_pulled_lazily(dag, registry, name):
    it = dag.container().from_(name)
    assert await it.env_variable("A") == "1"
    assert len(registry.asked("GET", "blobs")) == 1  # the config
    assert await it.file("/b").contents() == "2" * 100_000
    assert len(registry.asked("GET", "blobs")) == 3


async def test_a_second_session_fetches_nothing_when_a_later_operation_hits(
    session, registry, name
):
    async def run():
        async with session() as (dag, _):
            it = dag.container().from_(name).with_new_file("/c", "3")
            return await it.directory("/").entries()

    first = await run()
    registry.requests.clear()
    assert await run() == first
    assert [s.method for s in registry.requests] == ["HEAD"]


async def test_a_moved_tag_is_seen_by_the_next_session(session, registry, name):
    for content in (b"old", b"new"):
        registry.image(NAME, "1", [layer(a=content)])
        async with session() as (dag, _):
            assert await dag.container().from_(name).file("/a").contents() == content.decode()


async def test_a_tag_is_what_it_was_while_the_registry_is_down(session, store):
    with FakeRegistry() as registry:
        registry.image(NAME, "1", [layer(a=b"1")])
        name = f"{registry.host}/{NAME}:1"
        async with session() as (dag, _):
            await dag.container().from_(name).file("/a").contents()
    async with session() as (dag, heard):
        assert await dag.container().from_(name).file("/a").contents() == "1"
    assert [
        e for e in heard if e["event"] == "warning" and "Going on with what it was" in e["text"]
    ]


def half(body: bytes) -> bytes:
    return body[: len(body) // 2]


BOMB = gzip.compress(b"\0" * (1 << 20), mtime=0)


@pytest.mark.parametrize(
    ("method", "path", "fault", "words"),
    [
        ("HEAD", "manifests", Reply(401), "a login is needed"),
        ("HEAD", "manifests", Reply(403), "access is denied"),
        ("HEAD", "manifests", Reply(404), "no such tag, or no such repository"),
        ("HEAD", "manifests", Reply(429, {"retry-after": "86400"}), "rate limit"),
        ("HEAD", "manifests", Reply(302, {"location": LOOP}), "redirected more than 10 times"),
        ("GET", "manifests", Body(lambda body: body[::-1]), "digest to"),
        ("GET", "manifests", Reply(200, {}, b"<html>"), "digest to"),
        ("GET", "blobs", Body(lambda body: body[::-1]), "digest to"),
        ("GET", "blobs", Reply(404), "not found"),
    ],
)
async def test_a_fault_is_told_and_leaves_nothing(  # noqa: PLR0917
    dag, registry, name, store, method, path, fault, words
):
    registry.fault(method, path, fault, times=99)
    with pytest.raises(dagger.QueryError, match=words) as failure:
        await dag.container().from_(name).file("/b").contents()
    assert name in str(failure.value) or registry.host in str(failure.value)
    assert left(store) == ([], [])
    registry.faults.clear()
    assert len(await dag.container().from_(name).file("/b").contents()) == 100_000


@pytest.mark.parametrize("fault", [Reset(), Reply(503), Reply(429, {"retry-after": "0"})])
async def test_a_fault_of_a_tag_that_passes_is_not_seen(dag, registry, name, fault):
    registry.fault("HEAD", "manifests", fault)
    assert await dag.container().from_(name).env_variable("A") == "1"


@pytest.mark.parametrize("fault", [Body(half), Reset(), Reply(503)])
async def test_a_fault_that_passes_is_not_seen(dag, registry, name, fault):
    await dag.container().from_(name).env_variable("A")
    registry.fault("GET", "blobs", fault)
    assert len(await dag.container().from_(name).file("/b").contents()) == 100_000


async def test_a_layer_that_unpacks_to_something_else_is_refused(dag, registry, store, name):
    tar = layer(a=b"1")
    config = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    registry.image(NAME, "1", [tar], config=config)
    with pytest.raises(dagger.QueryError, match="the image is damaged"):
        await dag.container().from_(name).file("/a").contents()
    assert left(store) == ([], [])


async def test_a_bomb_is_stopped(dag, registry, store, name):
    """A header that promises 300 GB in a layer of a few kilobytes."""
    info = tarfile.TarInfo("bomb")
    info.size = 300 << 30
    tar = info.tobuf() + b"\0" * 4096
    registry.image(NAME, "1", [tar])
    with pytest.raises(dagger.QueryError, match=r"ends in the middle|more than"):
        await dag.container().from_(name).file("/bomb").contents()
    assert left(store) == ([], [])


async def test_credentials_of_the_session_are_used_and_are_nowhere(session, store):
    with FakeRegistry(users={"me": "correct-horse"}) as registry:
        registry.image(NAME, "1", [layer(a=b"1")])
        name = f"{registry.host}/{NAME}:1"
        async with session() as (dag, _):
            with pytest.raises(dagger.QueryError, match="log in"):
                await dag.container().from_(name).env_variable("A")
            secret = dag.set_secret("password", "correct-horse")
            it = dag.container().with_registry_auth(registry.host, "me", secret).from_(name)
            assert await it.file("/a").contents() == "1"
            out = dag.container().without_registry_auth(registry.host)
            with pytest.raises(dagger.QueryError, match="log in"):
                await out.from_(f"{registry.host}/{NAME}:2").env_variable("A")
    for path in store.rglob("*"):
        if path.is_file():
            assert b"correct-horse" not in path.read_bytes()


async def test_credentials_key_nothing(session, registry, name):
    keys = []
    for password in ("one", "two"):
        async with session() as (dag, _):
            secret = dag.set_secret("password", password)
            it = dag.container().with_registry_auth(registry.host, "me", secret).from_(name)
            keys.append(await it.id())
    assert keys[0] == keys[1]


async def test_a_session_that_is_pulling_ends_by_itself(registry, name, store):
    """Closing the session gives the pull up; one that did not end by itself would be killed."""
    registry.image(NAME, "1", [layer(b=os.urandom(1 << 20))])
    registry.fault("GET", "blobs/", Body(), times=1)  # the config
    registry.fault("GET", "blobs/", Body(pause=0.02), times=9)
    session = Session.start()
    async with connect(session=session) as dag:
        with anyio.move_on_after(1):
            await dag.container().from_(name).file("/b").contents()
    assert session.process.returncode == 0
    assert left(store) == ([], [])


async def test_a_session_that_waits_for_a_registry_ends_by_itself(registry, name, store):
    over = threading.Event()
    registry.before = lambda *_: over.wait(60)
    session = Session.start()
    async with connect(session=session) as dag:
        with anyio.move_on_after(1):
            await dag.container().from_(name).env_variable("A")
    over.set()
    assert session.process.returncode == 0


async def test_a_mirror_of_the_default_registry_is_asked_for_short_names(
    session, registry, monkeypatch
):
    digest = registry.image("library/tool", "1", [layer(a=b"1")])
    monkeypatch.setenv("PIPELINES_REGISTRY_MIRRORS", registry.host)
    async with session() as (dag, _):
        it = dag.container().from_("tool:1")
        assert await it.file("/a").contents() == "1"
        assert await it.image_ref() == f"docker.io/library/tool:1@{digest}"


PULL = """
import sys
import anyio
from dagger import dag
from pipelines import connect

async def main():
    async with connect(engine="embedded"):
        print(await dag.container().from_(sys.argv[1]).directory("/").entries())

anyio.run(main)
"""


def test_two_processes_that_pull_one_image_fetch_it_once(registry, name, store):
    digest = registry.image(NAME, "1", [layer(a=os.urandom(3_000_000))])
    manifest = json.loads(registry.manifests[NAME, digest][1])
    big = manifest["layers"][0]["digest"]
    pulls = [
        subprocess.Popen(
            [sys.executable, "-c", PULL, name],
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [pull.communicate()[0] for pull in pulls] == ["['a']\n"] * 2
    assert len(registry.asked("GET", big)) == 1


async def test_platforms_of_one_tag_are_of_one_moment(session, registry, name):
    """A tag that moves between two platforms of one session does not mix them."""
    old = {p: registry.image(NAME, "", [layer(a=b"old")], platform=p) for p in PLATFORMS}
    first = registry.index(NAME, "1", old)
    async with session() as (dag, _):
        refs = []
        for platform in PLATFORMS:
            it = dag.container(platform=dagger.Platform(platform)).from_(name)
            refs.append(await it.image_ref())
            new = {p: registry.image(NAME, "", [layer(a=b"new")], platform=p) for p in PLATFORMS}
            registry.index(NAME, "1", new)
    assert refs == [f"{name}@{first}"] * 2


async def test_an_image_is_keyed_by_its_digest_and_not_by_how_it_came(session, registry):
    """Another tag and another registry re-run nothing; other content does."""
    tar = layer(a=b"1")
    with FakeRegistry() as elsewhere:
        registry.image(NAME, "1", [tar])
        registry.image("other/name", "2", [tar])
        elsewhere.image(NAME, "1", [tar])
        ran = []
        for name in (
            f"{registry.host}/{NAME}:1",
            f"{registry.host}/other/name:2",
            f"{elsewhere.host}/{NAME}:1",
        ):
            elsewhere.requests.clear()
            registry.requests.clear()
            async with session() as (dag, _):
                it = dag.container().from_(name).with_new_file("/b", "2")
                assert await it.directory("/").entries() == ["a", "b"]
            asked = [*registry.asked("GET", "/blobs/"), *elsewhere.asked("GET", "/blobs/")]
            ran.append(len(asked))
        registry.image(NAME, "1", [layer(a=b"2")])
        registry.requests.clear()
        async with session() as (dag, _):
            it = dag.container().from_(f"{registry.host}/{NAME}:1")
            assert await it.file("/a").contents() == "2"
    assert ran == [2, 0, 0]  # config and layer once; then the manifest says that all is known
