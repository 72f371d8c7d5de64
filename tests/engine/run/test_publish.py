"""Publishing what was composed: what goes where, under which names, and what errors say."""

import json
import threading

import pytest

from pipelines.engine.digest import Digest
from pipelines.engine.errors import RegistryError
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import chain_id
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.registry.client import Client
from pipelines.engine.images.registry.credentials import Credentials
from pipelines.engine.images.registry.hosts import Hosts
from pipelines.engine.images.registry.transport import Http
from pipelines.engine.op import Edge, Scratch, Variant
from pipelines.engine.result import Snapshot
from pipelines.engine.run.compose import form
from pipelines.engine.run.publish import publish
from pipelines.engine.tree import Entry, Tree
from tests.engine.images.world import World
from tests.fake_registry import FakeRegistry, Reply


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "world")


@pytest.fixture
def push(world, registry, tmp_path):
    """Publish roots by platform to the registry; give the reference."""
    http = Http({}, read_seconds=5)
    client = Client(http, Hosts(), Credentials({"HOME": str(tmp_path)}))

    def pushed(roots, name="team/app:1", kinds="", base=""):
        variants = [Variant(Edge(Scratch()), one, "{}", base=base) for one in roots]
        composed = world.composer.compose(variants, roots.values(), form("", kinds, None))
        ref = Reference.parse(f"{registry.host}/{name}")
        return publish(composed, world.composer, ref, client, threading.Event())

    yield pushed
    http.close()


def layer(world, **files):
    return Snapshot((world.layer(**files),))


def test_a_lone_image_has_the_tag(world, registry, push):
    published = push({"linux/amd64": layer(world, a="1")})
    name, _, digest = published.partition("@")
    assert name == f"{registry.host}/team/app:1"
    kind, document = registry.manifests["team/app", "1"]
    assert kind == "application/vnd.oci.image.manifest.v1+json"
    assert registry.manifests["team/app", digest] == (kind, document)


def test_of_several_the_index_has_the_tag_and_comes_last(world, registry, push):
    roots = {one: layer(world, a=one) for one in ("linux/amd64", "linux/arm64")}
    push(roots)
    kind, document = registry.manifests["team/app", "1"]
    assert kind == "application/vnd.oci.image.index.v1+json"
    rows = json.loads(document)["manifests"]
    assert {row["platform"]["architecture"] for row in rows} == {"amd64", "arm64"}
    assert all(("team/app", row["digest"]) in registry.manifests for row in rows)
    assert registry.asked("PUT")[-1].path.endswith("/manifests/1")


def test_docker_s_media_types_are_all_docker_s(world, registry, push):
    push({one: layer(world, a=one) for one in ("linux/amd64", "linux/arm64")}, kinds="Docker")
    kinds = {kind for (_, name), (kind, _) in registry.manifests.items() if name != "1"}
    assert all("vnd.docker.distribution.manifest" in kind for kind in kinds)


def based(world, registry, reference):
    """An image of a registry whose one layer was unpacked here and whose blob is gone."""
    root = layer(world, base="b")
    world.composer.compose([Variant(Edge(Scratch()), "linux/amd64", "{}")], [root], FORM)
    known = world.images.layer(root.layers[0], "packed 2 Gzip None")
    blob, size, diff_id = known["blob"], known["size"], known["diff_id"]
    content = world.images.blobs.get(blob)
    registry.blob("lib/base", content)
    found = Layer(diff_id, blob, "application/vnd.oci.image.layer.v1.tar+gzip", size)
    info = ImageInfo(Digest(blob), reference, "linux/amd64", {}, (found,), "registry")
    world.images.put(None, info)
    world.images.put_chain(chain_id((diff_id,)), root.layers[0])
    world.images.blobs.path(blob).unlink()
    return info, root, content


FORM = form("", "", None)


def test_the_base_s_layer_is_mounted_from_where_it_came(world, registry, push):
    info, root, _ = based(world, registry, f"{registry.host}/lib/base:1")
    push({"linux/amd64": Snapshot((*root.layers, world.layer(own="o")))}, base=info.digest)
    [mount] = registry.asked("POST", "mount=")
    assert "from=lib%2Fbase" in mount.path
    assert ("team/app", info.layers[0].blob) in registry.where


def test_the_base_of_another_registry_is_fetched_only_to_be_sent(world, registry, push):
    info, root, content = based(world, registry, "other.example/lib/base:1")
    asked = []

    def fetched(image, wanted):
        asked.append((image.reference, wanted.blob))
        world.images.blobs.put(content)
        return world.images.local(image, wanted)

    world.composer._fetch = fetched
    push({"linux/amd64": root}, base=info.digest)
    assert asked == [("other.example/lib/base:1", info.layers[0].blob)]
    assert not registry.asked("POST", "mount=")
    asked.clear()
    push({"linux/amd64": root}, base=info.digest)
    assert asked == []


NO = b'{"errors":[{"code":"MANIFEST_INVALID","message":"no"}]}'


@pytest.mark.parametrize(
    ("path", "reply", "words"),
    [
        ("uploads", Reply(404), "want a repository to be created before"),
        ("uploads", Reply(405), "name the registry behind it"),
        ("manifests", Reply(415), "say mediaTypes DockerMediaTypes"),
        ("manifests", Reply(400, {}, NO), "say mediaTypes DockerMediaTypes"),
    ],
)
def test_a_refusal_is_told_with_a_way_out(registry, push, path, reply, words):
    for method in ("POST", "PUT"):
        registry.fault(method, path, reply, times=9)
    with pytest.raises(RegistryError, match=words) as refused:
        push({"linux/amd64": Tree.of([("f", Entry("dir", 0o755))])})
    assert str(refused.value).startswith(f"publishing {registry.host}/team/app:1: registry")
