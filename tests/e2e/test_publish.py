"""Publishing to a real registry: Debian's docker-registry, with skopeo and crane as judges."""

import json
import os
import shutil
import sys
from contextlib import suppress

import dagger
import pytest
from beartype.roar import BeartypeCallHintReturnViolation

from pipelines import connect
from pipelines._session import environment
from tests.e2e.conftest import ROOT, remove
from tests.outside import crane, real_registry, require, run

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")


@pytest.fixture
def registry(tmp_path):
    with real_registry(tmp_path / "registry") as running:
        yield running


def variants(dag):
    """The same program for three platforms, as a cross compiler gives it."""
    return [
        dag.container(platform=dagger.Platform(platform))
        .with_new_file("/app", f"program for {platform}", permissions=0o755)
        .with_entrypoint(["/app"])
        .with_label("org.opencontainers.image.title", "app")
        for platform in PLATFORMS
    ]


def inspect(registry, name, *options):
    command = ["skopeo", "inspect", "--tls-verify=false", *options]
    return json.loads(run(*command, f"docker://{registry.host}/{name}"))


async def test_a_second_push_of_three_platforms_only_asks(dag, registry):
    require("skopeo")
    address = f"{registry.host}/team/app:1"
    first = await dag.container().publish(address, platform_variants=variants(dag))
    before = len(registry.requests())
    second = await dag.container().publish(address, platform_variants=variants(dag))
    again = registry.requests()[before:]
    assert first == second
    assert {request.split()[0] for request in again} == {"HEAD"}
    assert len(again) == 3 * 2 + 3 + 1  # a layer, a config and a manifest each, and the index
    assert first == f"{address}@{inspect(registry, 'team/app:1')['Digest']}"


async def test_skopeo_sees_every_platform(dag, registry):
    require("skopeo")
    published = await dag.container().publish(
        f"{registry.host}/team/app", platform_variants=variants(dag)
    )
    assert published.startswith(f"{registry.host}/team/app:latest@sha256:")
    raw = inspect(registry, "team/app:latest", "--raw")
    assert raw["mediaType"] == "application/vnd.oci.image.index.v1+json"
    told = {(p["os"], p["architecture"], p.get("variant")) for p in platforms(raw)}
    assert told == {("linux", "amd64", None), ("linux", "arm64", None), ("linux", "arm", "v7")}
    shown = inspect(registry, "team/app", "--override-arch=arm64")
    assert (shown["Architecture"], shown["Labels"]) == (
        "arm64",
        {"org.opencontainers.image.title": "app"},
    )


def platforms(index):
    return [row["platform"] for row in index["manifests"]]


def test_the_guide_s_program_publishes_twice_and_sends_nothing_the_second_time(
    store, registry, tmp_path
):
    text = (ROOT / "docs/guides/publishing.md").read_text()
    program = tmp_path / "publish.py"
    program.write_text(text.partition("```python\n")[2].partition("```")[0])
    for arch in ("amd64", "arm64", "riscv64"):
        (tmp_path / f"dist/linux-{arch}").mkdir(parents=True)
        (tmp_path / f"dist/linux-{arch}/app").write_text(arch)
    address = f"{registry.host}/team/app:1"
    command = [sys.executable, program, address]
    options = {"cwd": tmp_path, "env": environment(os.environ)}
    first = run(*command, **options)
    before = len(registry.requests())
    assert run(*command, **options) == first
    assert {request.split()[0] for request in registry.requests()[before:]} == {"HEAD"}
    assert first.startswith(f"{address}@sha256:")


@pytest.mark.network
@pytest.mark.slow
async def test_crane_finds_no_fault_in_what_was_published(dag, registry):
    program = crane()
    address = f"{registry.host}/team/app:1"
    published = await dag.container().publish(address, platform_variants=variants(dag))
    run(program, "validate", "--remote", address, "--insecure")
    assert run(program, "digest", address, "--insecure").strip() == published.partition("@")[2]


async def test_another_store_publishes_the_same_digest(store, registry, tmp_path, monkeypatch):
    found = []
    for place in ("one", "two"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
        async with connect(engine="embedded") as dag:
            box = dag.container().from_("busybox").with_exec(["sh", "-c", "echo 1 >/made"])
            found.append(await box.publish(f"{registry.host}/app:{place}"))
        remove(tmp_path / place)
    assert found[0].partition("@")[2] == found[1].partition("@")[2]


async def elsewhere(registry, name, tmp_path, monkeypatch, **options):
    """Publish an image with one layer from a store that is gone then."""
    before = os.environ["XDG_CACHE_HOME"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    async with connect(engine="embedded") as dag:
        made = dag.container().with_new_file("/b", "x" * 5000)
        await made.publish(f"{registry.host}/{name}", **options)
    remove(tmp_path / "elsewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", before)


async def test_the_layers_of_a_base_are_mounted_and_never_come_here(
    store, registry, tmp_path, monkeypatch
):
    require("skopeo")
    await elsewhere(registry, "lib/base:1", tmp_path, monkeypatch)
    layers = inspect(registry, "lib/base:1")["Layers"]
    before = len(registry.requests())
    async with connect(engine="embedded") as dag:
        base = dag.container().from_(f"{registry.host}/lib/base:1")
        await base.with_label("a", "b").publish(f"{registry.host}/team/app:1")
    asked = registry.requests()[before:]
    assert len([request for request in asked if "from=lib%2Fbase" in request]) == 1
    assert not [r for r in asked if r.startswith("GET") and layers[0] in r]
    assert inspect(registry, "team/app:1")["Layers"] == layers


async def test_a_base_of_another_registry_goes_over_with_its_own_bytes(
    store, registry, tmp_path, monkeypatch
):
    """It was made elsewhere, with another compression, and none of it is here."""
    require("skopeo")
    zstd = dagger.ImageLayerCompression.Zstd
    await elsewhere(registry, "lib/base:1", tmp_path, monkeypatch, forced_compression=zstd)
    with real_registry(tmp_path / "second") as second:
        async with connect(engine="embedded") as dag:
            derived = dag.container().from_(f"{registry.host}/lib/base:1")
            await derived.with_new_file("/own", "y").publish(f"{second.host}/team/app:1")
        base = inspect(registry, "lib/base:1", "--raw")["layers"]
        layers = inspect(second, "team/app:1", "--raw")["layers"]
    assert layers[:1] == base
    assert layers[1]["mediaType"].endswith("tar+gzip")


async def test_a_registry_may_be_a_service_that_is_known_by_name(dag, registry):
    require("skopeo")
    port = dagger.PortForward(backend=registry.port, frontend=5000)
    service = dag.host().service([port])
    address = "registry.example:5000/team/app:1"
    published = await variants(dag)[0].publish(address, registry_service=service)
    assert published == f"{address}@{inspect(registry, 'team/app:1')['Digest']}"
    back = dag.container().from_(address, registry_service=service)
    assert await back.file("/app").contents() == "program for linux/amd64"
    with pytest.raises(dagger.QueryError, match=r"registry\.example:5000"):
        await dag.container().from_("registry.example:5000/team/other:1", registry_service=service)


async def test_docker_s_media_types_and_zstd(dag, registry):
    require("skopeo")
    await variants(dag)[0].publish(
        f"{registry.host}/app:docker", media_types=dagger.ImageMediaTypes.DockerMediaTypes
    )
    raw = inspect(registry, "app:docker", "--raw")
    assert raw["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert [row["mediaType"] for row in raw["layers"]] == [
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    ]
    await variants(dag)[0].publish(
        f"{registry.host}/app:zstd", forced_compression=dagger.ImageLayerCompression.Zstd
    )
    raw = inspect(registry, "app:zstd", "--raw")
    assert raw["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"


async def test_a_push_that_fails_names_what_and_where_and_leaves_no_tag(dag, registry):
    shutil.rmtree(registry.root / "data", ignore_errors=True)
    (registry.root / "data").write_text("no directory")
    with pytest.raises(dagger.QueryError) as failed:
        await variants(dag)[0].publish(f"{registry.host}/team/app:1")
    text = str(failed.value)
    assert f"publishing {registry.host}/team/app:1" in text
    assert "500" in text or "503" in text


async def test_an_address_with_a_digest_is_refused(dag):
    with pytest.raises(dagger.QueryError, match="the digest is what the image has"):
        await variants(dag)[0].publish("127.0.0.1:1/app@sha256:" + "0" * 64)


async def test_nobody_there_is_said_at_once(dag):
    with pytest.raises(dagger.QueryError, match=r"publishing 127\.0\.0\.1:1/app:1: .*refused"):
        await variants(dag)[0].publish("127.0.0.1:1/app:1")


async def export_image(container, name, **options):
    """Call the SDK, whose own check of types refuses what it returns after all is done."""
    with suppress(BeartypeCallHintReturnViolation):
        await container.export_image(name, **options)


async def test_an_image_goes_into_a_layout(dag, tmp_path):
    require("skopeo")
    name = f"{tmp_path}/images:1"
    await export_image(dag.container(), name, platform_variants=variants(dag))
    await export_image(variants(dag)[0], f"oci:{tmp_path}/images:2")
    for tag in ("1", "2"):
        shown = json.loads(run("skopeo", "inspect", f"oci:{tmp_path}/images:{tag}"))
        assert shown["Labels"] == {"org.opencontainers.image.title": "app"}


async def test_an_image_for_no_runtime_says_what_can_be_done(store, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("docker", "podman", "nerdctl"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    async with connect(engine="embedded") as dag:
        with pytest.raises(dagger.QueryError, match=r"no container runtime.*OCI layout: \./images"):
            await export_image(variants(dag)[0], "app:1")
