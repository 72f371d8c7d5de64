"""Images: where they come from, what their configuration says, where they go."""

import json
import os
import tarfile
from contextlib import suppress

import dagger
import pytest

from pipelines import connect
from tests.e2e.conftest import remove

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


@pytest.fixture
def box(dag):
    return dag.container().from_("busybox")


@pytest.fixture
def configured(box):
    return (
        box.with_env_variable("A", "1")
        .with_env_variable("B", "${A}2", expand=True)
        .with_workdir("/w")
        .with_user("0")
        .with_entrypoint(["echo"])
        .with_default_args(["hello"])
        .with_label("l", "v")
        .with_annotation("an", "notated")
        .with_exposed_port(8080, description="web")
        .with_exposed_port(53, protocol=dagger.NetworkProtocol.UDP)
        .with_new_file("/w/f", "content")
    )


async def test_the_engine_names_itself_and_its_platform(dag):
    assert (await dag.version()).startswith("v0.21")
    platform = await dag.default_platform()
    assert platform == await dag.container().platform()
    assert str(await dag.container(platform=dagger.Platform("linux/arm")).platform()) == (
        "linux/arm/v7"
    )


async def test_configuration_is_read_back(configured):
    it = configured
    assert await it.env_variable("B") == "12"
    assert ("A", "1") in [(await v.name(), await v.value()) for v in await it.env_variables()]
    assert [(await v.name(), await v.value()) for v in await it.labels()][-1] == ("l", "v")
    assert await it.label("l") == "v"
    assert (await it.workdir(), await it.user()) == ("/w", "0")
    assert (await it.entrypoint(), await it.default_args()) == (["echo"], ["hello"])
    ports = [(await p.port(), await p.protocol()) for p in await it.exposed_ports()]
    assert ports == [(8080, dagger.NetworkProtocol.TCP), (53, dagger.NetworkProtocol.UDP)]


async def test_configuration_is_taken_away(configured):
    it = (
        configured.without_env_variable("A")
        .without_label("l")
        .without_annotation("an")
        .without_entrypoint()
        .without_default_args()
        .without_workdir()
        .without_user()
        .without_exposed_port(8080)
    )
    assert await it.env_variable("A") is None
    assert await it.label("l") is None
    assert (await it.workdir(), await it.user()) == ("", "")
    assert (await it.entrypoint(), await it.default_args()) == ([], [])
    assert [await p.port() for p in await it.exposed_ports()] == [53]


async def test_an_image_goes_out_and_comes_in_again(dag, configured, tmp_path):
    path = tmp_path / "image.tar"
    assert await configured.export(str(path)) == str(path)
    back = dag.container().import_(dag.host().file(str(path)))
    assert await back.with_exec([], use_entrypoint=True).stdout() == "hello\n"
    assert await back.file("/w/f").contents() == "content"
    assert await back.label("l") == "v"
    assert await back.env_variable("B") == "12"
    assert {await p.port() for p in await back.exposed_ports()} == {8080, 53}


async def test_an_archive_is_an_oci_layout(configured, tmp_path):
    await configured.as_tarball().export(str(tmp_path / "i.tar"))
    with tarfile.open(tmp_path / "i.tar") as tar:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4
        tar.extractall(tmp_path / "layout", **safely)
    layout = tmp_path / "layout"
    assert json.loads((layout / "oci-layout").read_text())["imageLayoutVersion"] == "1.0.0"
    [descriptor] = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(layout, descriptor))
    if "manifests" in manifest:
        manifest = json.loads(blob(layout, manifest["manifests"][0]))
    assert manifest["annotations"]["an"] == "notated"
    config = json.loads(blob(layout, manifest["config"]))
    assert config["config"]["Entrypoint"] == ["echo"]
    assert set(config["config"]["ExposedPorts"]) == {"8080/tcp", "53/udp"}
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"])


def blob(layout, descriptor):
    algorithm, _, digest = descriptor["digest"].partition(":")
    return (layout / "blobs" / algorithm / digest).read_bytes()


async def test_equal_images_are_equal_bytes(configured, tmp_path):
    await configured.export(str(tmp_path / "one.tar"))
    await configured.with_exec(["true"]).export(str(tmp_path / "two.tar"))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


async def test_an_archive_holds_several_platforms(dag, box, tmp_path):
    arm = dag.container(platform=dagger.Platform("linux/arm64")).with_rootfs(box.rootfs())
    tarball = dag.container().as_tarball(platform_variants=[box, arm])
    await tarball.export(str(tmp_path / "i.tar"))
    with tarfile.open(tmp_path / "i.tar") as tar:
        assert sum(1 for _ in tar) > 4
    back = dag.container().import_(dag.host().file(str(tmp_path / "i.tar")))
    assert await back.with_exec(["echo", "native"]).stdout() == "native\n"


async def test_an_archive_that_is_none_is_an_error(dag):
    with pytest.raises(dagger.QueryError, match="archive"):
        await dag.container().import_(dag.file("i.tar", "not a tar")).sync()


async def test_an_image_that_can_not_be_had_is_named(dag):
    with pytest.raises(dagger.QueryError, match="no-such-image:1"):
        await dag.container().from_("no-such-image:1").sync()


async def test_an_image_names_itself_until_it_is_changed(box):
    assert "busybox" in await box.image_ref()
    with pytest.raises(dagger.QueryError):
        await box.with_exec(["touch", "/x"]).image_ref()


async def test_neither_mounts_nor_secrets_nor_volatile_values_are_in_an_image(dag, box, tmp_path):
    secret = dag.set_secret("s", "hush-hush-hush")
    built = (
        box.with_secret_variable("TOKEN", secret)
        .with_volatile_variable("RUN_ID", "run-4711")
        .with_mounted_secret("/run/s", secret)
        .with_mounted_directory("/m", dag.directory().with_new_file("in-mount", "in-mount"))
        .with_mounted_temp("/t")
        .with_exec(["sh", "-c", "test $TOKEN = $(cat /run/s) && test $RUN_ID && touch /m/x /t/x"])
    )
    await built.export(
        str(tmp_path / "i.tar"), forced_compression=dagger.ImageLayerCompression.UNCOMPRESSED
    )
    data = (tmp_path / "i.tar").read_bytes()
    for hidden in (b"hush-hush-hush", b"run-4711", b"RUN_ID", b"TOKEN", b"in-mount"):
        assert hidden not in data


async def test_modes_links_and_removals_are_kept_in_an_image(dag, box, tmp_path):
    script = (
        "mkdir /o; echo 1 >/o/f; chmod 4755 /o/f; ln /o/f /o/hard; ln -s f /o/soft; rm -r /home"
    )
    built = box.with_exec(["mkdir", "-p", "/home/x"]).with_exec(["sh", "-c", script])
    await built.export(str(tmp_path / "i.tar"))
    back = dag.container().import_(dag.host().file(str(tmp_path / "i.tar")))
    shown = await back.with_exec(
        ["sh", "-c", "stat -c '%a %h' /o/f; readlink /o/soft; test -e /home || echo gone"]
    ).stdout()
    assert shown == "4755 2\nf\ngone\n"
    assert os.path.getsize(tmp_path / "i.tar") > 0


async def test_an_image_is_the_same_in_another_store_in_another_order(store, tmp_path, monkeypatch):
    def image(dag):
        files = dag.directory().with_new_file("a", "same").with_new_file("b", "same")
        return (
            dag.container()
            .from_("busybox")
            .with_directory("/src", files)
            .with_exec(["sh", "-c", "echo 1 >/f; ln /f /g; cp /f /h; date >/dev/null"])
        )

    async with connect(engine="embedded") as dag:
        await image(dag).export(str(tmp_path / "1.tar"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    async with connect(engine="embedded") as dag:
        # What is there first has the same files under one content, but as copies.
        await dag.container().from_("busybox").with_exec(["sh", "-c", "echo 1 >/f"]).sync()
        await image(dag).export(str(tmp_path / "2.tar"))
    remove(tmp_path / "other")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


async def test_times_in_an_image_are_the_epoch_or_pinned(store, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    async with connect(engine="embedded") as dag:
        pinned = dag.directory().with_new_file("old", "").with_timestamps(1_500_000_000)
        box = dag.container().from_("busybox").with_directory("/d", pinned)
        made = box.with_exec(["touch", "/new"])
        uncompressed = dagger.ImageLayerCompression.UNCOMPRESSED
        await made.export(str(tmp_path / "i.tar"), forced_compression=uncompressed)
    times = {}
    with tarfile.open(tmp_path / "i.tar") as outer:
        for blob in filter(lambda m: m.isfile() and "sha256" in m.name, outer):
            with suppress(tarfile.ReadError), tarfile.open(fileobj=outer.extractfile(blob)) as tar:
                times |= {member.name: member.mtime for member in tar}
    assert (times["d/old"], times["new"], times["bin"]) == (
        1_500_000_000,
        1_600_000_000,
        1_600_000_000,
    )


async def test_an_epoch_that_is_no_time_is_named(store, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    async with connect(engine="embedded") as dag:
        with pytest.raises(dagger.QueryError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
            await dag.container().export(str(tmp_path / "i.tar"))
