"""References become images: what is asked for, what is believed, what is refused."""

import json

import pytest

from pipelines.engine.errors import (
    RegistryError,
    RegistryMismatch,
    RegistryMissing,
    RegistryUnreachable,
)
from pipelines.engine.images.local import Images
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.registry.images import RegistryImages
from tests.fake_registry import INDEX, Body, FakeRegistry, Reply, Reset, digest_of

AMD = "linux/amd64"
NAME = "lib/app"


@pytest.fixture
def index(tmp_path):
    return Images(tmp_path / "images")


@pytest.fixture
def said():
    return []


@pytest.fixture
def find(world, registry, index, said):
    """Find an image in a new session; a `session` given is gone on with."""

    def found(name=":1", platform=AMD, session=None):
        session = session or RegistryImages(
            world.client(), index, said.append, world.clock.patience
        )
        return session.find(Reference.parse(f"{registry.host}/{NAME}{name}"), platform)

    return found


def held(index):
    return sorted(p.name for p in index.root.rglob("*") if p.is_file())


def test_a_tag_becomes_a_pinned_image_and_no_layer_is_fetched(find, registry):
    digest = registry.image(NAME, "1", [b"one", b"two"])
    info = find()
    assert (info.digest, info.source, len(info.layers)) == (digest, "registry", 2)
    assert info.config["config"]["Env"] == ["A=1"]
    assert info.reference == f"{registry.host}/{NAME}:1@{digest}"
    assert [(s.method, s.path.split("/")[4]) for s in registry.requests] == [
        ("HEAD", "manifests"),
        ("GET", "manifests"),
        ("GET", "blobs"),
    ]


def test_another_session_asks_for_the_tag_alone(find, registry):
    registry.image(NAME, "1", [b"one"])
    find()
    registry.requests.clear()
    find()
    assert [s.method for s in registry.requests] == ["HEAD"]


def test_a_digest_that_is_known_asks_for_nothing(find, registry):
    digest = registry.image(NAME, "", [b"one"])
    find("@" + digest)
    registry.requests.clear()
    assert find("@" + digest).digest == digest
    assert registry.requests == []


def test_a_tag_that_moved_is_followed(find, registry):
    registry.image(NAME, "1", [b"one"])
    find()
    moved = registry.image(NAME, "1", [b"two"])
    assert find().digest == moved


def test_a_tag_stays_what_it_is_for_the_length_of_a_session(world, find, registry, index):
    registry.image(NAME, "1", [b"one"])
    session = RegistryImages(world.client(), index, print, world.clock.patience)
    first = find(session=session)
    registry.image(NAME, "1", [b"two"])
    assert find(session=session) == first


def test_a_tag_is_what_it_was_when_nobody_answers_and_that_is_said(world, index, said):
    with FakeRegistry() as registry:
        digest = registry.image(NAME, "1", [b"one"])
        ref = Reference.parse(f"{registry.host}/{NAME}:1")
        RegistryImages(world.client(), index, said.append, world.clock.patience).find(ref, AMD)
    later = RegistryImages(world.client(), index, said.append, world.clock.patience)
    assert [later.find(ref, AMD).digest for _ in range(2)] == [digest, digest]
    assert len(said) == 1
    assert digest in said[0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_registry_that_fails_leaves_a_tag_what_it_was(find, registry, said, status):
    digest = registry.image(NAME, "1", [b"one"])
    find()
    registry.fault("HEAD", "manifests", Reply(status), times=99)
    assert find().digest == digest
    assert len(said) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_registry_that_refuses_is_believed(find, registry, said, status):
    registry.image(NAME, "1", [b"one"])
    find()
    registry.fault("HEAD", "manifests", Reply(status), times=99)
    with pytest.raises(RegistryError):
        find()
    assert said == []


def test_a_registry_without_head_is_asked_with_get(find, registry):
    digest = registry.image(NAME, "1", [b"one"])
    registry.fault("HEAD", "manifests", Reply(405))
    assert find().digest == digest


def test_an_image_that_names_no_platform_is_taken(find, registry):
    digest = registry.image(NAME, "1", [b"one"], config={"architecture": ""})
    assert find().digest == digest


@pytest.mark.parametrize("fault", [Reply(503), Reply(429, {"retry-after": "3"}), Reset()])
def test_a_registry_that_is_there_gets_its_tries_even_in_a_hurry(world, registry, index, fault):
    digest = registry.image(NAME, "1", [b"one"])
    registry.fault("HEAD", "manifests", fault)
    ref = Reference.parse(f"{registry.host}/{NAME}:1")
    session = RegistryImages(world.client(), index, print, world.clock.patience)
    assert session.find(ref, AMD, quick=True).digest == digest


def test_one_that_is_not_there_is_not_waited_for_in_a_hurry(world, index):
    ref = Reference.parse(f"registry.invalid/{NAME}:1")
    session = RegistryImages(world.client(), index, print, world.clock.patience)
    with pytest.raises(RegistryUnreachable):
        session.find(ref, AMD, quick=True)
    assert world.clock.slept == []


def test_a_tag_that_nobody_knows_and_nobody_tells_is_an_error(world, index):
    with FakeRegistry() as registry:
        ref = Reference.parse(f"{registry.host}/{NAME}:1")
    with pytest.raises(RegistryUnreachable):
        RegistryImages(world.client(), index, print, world.clock.patience).find(ref, AMD)


def test_a_registry_that_gives_no_digest_is_asked_for_the_manifest(find, registry):
    digest = registry.image(NAME, "1", [b"one"])
    registry.fault("HEAD", "manifests", Reply(200))
    assert find().digest == digest


def test_an_index_gives_the_image_of_the_platform(find, registry):
    images = {p: registry.image(NAME, "", [p.encode()], platform=p) for p in (AMD, "linux/arm64")}
    index = registry.index(NAME, "1", images)
    found = find(platform="linux/arm64")
    assert found.digest == images["linux/arm64"]
    assert found.reference.endswith(index)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("linux/arm/v7", "linux/arm/v6"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v5", "linux/arm/v5"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/amd64/v3", "linux/amd64/v2"),
        ("linux/amd64", "linux/amd64"),
    ],
)
def test_an_older_variant_stands_in(find, registry, wanted, chosen):
    have = ("linux/arm/v5", "linux/arm/v6", "linux/arm64/v8", "linux/amd64", "linux/amd64/v2")
    images = {p: registry.image(NAME, "", [p.encode()], platform=p) for p in have}
    registry.index(NAME, "1", images)
    assert find(platform=wanted).digest == images[chosen]


@pytest.mark.parametrize("listed", [True, False])
def test_a_platform_that_is_not_there_is_told_with_those_that_are(find, registry, listed):
    digest = registry.image(NAME, "1", [b"x"])
    if listed:
        registry.index(NAME, "1", {AMD: digest})
    with pytest.raises(RegistryError, match=r"no image for linux/riscv64; it has linux/amd64"):
        find(platform="linux/riscv64")


def test_a_missing_tag_says_what_to_check(find):
    with pytest.raises(RegistryMissing, match="no such tag, or no such repository"):
        find()


def test_a_manifest_that_is_not_its_digest_is_refused_and_not_kept(find, registry, index):
    registry.image(NAME, "1", [b"one"])
    registry.fault("GET", "manifests", Body(lambda body: body.replace(b"2", b"3")))
    with pytest.raises(RegistryMismatch, match="Nothing was kept"):
        find()
    assert not any((index.root / "blobs").rglob("*.*"))
    assert find().source == "registry"


def test_a_config_that_is_not_its_digest_is_refused(find, registry):
    registry.image(NAME, "1", [b"one"])
    registry.fault("GET", "blobs", Body(lambda body: body[::-1]))
    with pytest.raises(RegistryMismatch, match="the config sha256"):
        find()


def test_a_damaged_document_of_the_store_is_fetched_again(find, registry, index):
    digest = registry.image(NAME, "1", [b"one"])
    find()
    index.blobs.path(digest).write_bytes(b"{}")
    for kind in ("pins", "pulls"):
        for path in (index.root / kind).iterdir():
            path.unlink()
    assert find().digest == digest


def test_an_endless_manifest_is_not_read_to_its_end(find, registry):
    registry.manifest(NAME, b"{" + b" " * (5 << 20) + b"}", "1")
    with pytest.raises(RegistryMismatch, match="longer than 4194304 bytes"):
        find()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"schemaVersion": 1}, "schema 1, which is obsolete"),
        ({"schemaVersion": 2, "mediaType": "application/x-strange"}, "'application/x-strange'"),
        ({"schemaVersion": 2}, "neither config nor type"),
        (
            {
                "schemaVersion": 2,
                "config": {"mediaType": "application/x-chart", "digest": digest_of(b""), "size": 0},
            },
            "an artifact of type 'application/x-chart'",
        ),
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{}]}, "not an image descriptor"),
        ([1], "not a JSON object"),
    ],
)
def test_a_manifest_of_another_type_is_named(find, registry, document, words):
    registry.manifest(NAME, document, "1")
    with pytest.raises(RegistryError if "type" in words else Exception, match=words):
        find()


def test_a_layer_of_another_type_is_named(find, registry):
    digest = registry.image(NAME, "1", [b"one"])
    kind, data = registry.manifests[NAME, digest]
    document = json.loads(data)
    document["layers"][0]["mediaType"] = "application/vnd.x.tar+encrypted"
    registry.manifest(NAME, document, "1", kind=kind)
    with pytest.raises(RegistryError, match=r"tar\+encrypted"):
        find()


def test_layers_that_the_config_does_not_know_are_refused(find, registry):
    config = {"rootfs": {"type": "layers", "diff_ids": []}}
    registry.image(NAME, "1", [b"one"], config=config)
    with pytest.raises(RegistryError, match="1 layers and the config 0"):
        find()


def test_indexes_that_nest_without_end_are_refused(find, registry):
    inner = registry.image(NAME, "", [b"one"])
    for _ in range(6):
        inner = registry.index(NAME, "1", {AMD: inner})
    with pytest.raises(RegistryError, match="more than 4 deep"):
        find()


def test_the_name_of_the_default_registry_is_spelled_in_full():
    from pipelines.engine.digest import Digest
    from pipelines.engine.images.reference import pinned_name

    digest = Digest("sha256:" + "0" * 64)
    spelled = pinned_name(Reference.parse("alpine"), digest)
    assert spelled == f"docker.io/library/alpine:latest@{digest}"
    again = Reference.parse(spelled)
    assert (again.host, again.name, again.tag, again.digest) == ("", "alpine", "latest", digest)
