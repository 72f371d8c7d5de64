"""Images: archives that go out and come in, and what is in them."""

import io
import json
import tarfile
from contextlib import suppress

import dagger
from beartype.roar import BeartypeCallHintReturnViolation

from tests.outside import real_registry
from tests.parity.case import Differs, Fails, Given, case

C = "Container."
REF_NAME = "org.opencontainers.image.ref.name"
OCI, DOCKER = dagger.ImageMediaTypes.OCI, dagger.ImageMediaTypes.DOCKER


def configured(given: Given) -> dagger.Container:
    return (
        given.box.with_env_variable("A", "1")
        .with_workdir("/w")
        .with_user("bob")
        .with_entrypoint(["echo"])
        .with_default_args(["hello"])
        .with_label("l", "v")
        .with_annotation("an", "notated")
        .with_exposed_port(8080)
        .with_new_file("/w/f", "content")
    )


def inner(archive: str, name: str) -> dict:
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile(name))


def manifest(archive: str) -> dict:
    listed = inner(archive, "index.json")["manifests"][0]
    while "manifests" in (found := inner(archive, "blobs/" + listed["digest"].replace(":", "/"))):
        listed = found["manifests"][0]
    return found


@case(C + "export", C + "import", C + "label",
      gives=["hello\n", "content", "v", "/w", "bob", [8080]])  # fmt: skip
async def an_image_goes_out_and_comes_in_again(given: Given):
    path = str(given.path / "image.tar")
    await configured(given).export(path)
    back = given.dag.container().import_(given.dag.host().file(path))
    return [
        await back.with_exec([], use_entrypoint=True).stdout(),
        await back.file("/w/f").contents(),
        await back.label("l"),
        await back.workdir(),
        await back.user(),
        [await port.port() for port in await back.exposed_ports()],
    ]


@case(C + "export", gives=True)
async def an_export_tells_where_it_went(given: Given):
    path = str(given.path / "image.tar")
    return await given.box.export(path) == path


@case(
    C + "asTarball", C + "withAnnotation", "File.export",
    gives=[
        "application/vnd.oci.image.manifest.v1+json", {"an": "notated"}, ["A=1"], "bob", ["echo"],
        ["hello"], {"l": "v"}, {"8080/tcp": {}}, "/w", "linux",
    ],
)  # fmt: skip
async def an_archive_is_an_oci_layout(given: Given):
    path = str(given.path / "image.tar")
    await configured(given).as_tarball().export(path)
    found = manifest(path)
    config = inner(path, "blobs/" + found["config"]["digest"].replace(":", "/"))
    kept = config["config"]
    return [
        found["mediaType"],
        found.get("annotations"),
        [one for one in kept["Env"] if not one.startswith("PATH=")],
        kept["User"],
        kept["Entrypoint"],
        kept["Cmd"],
        kept["Labels"],
        kept["ExposedPorts"],
        kept["WorkingDir"],
        config["os"],
    ]


@case(C + "asTarball", gives=[True, True, False, False])
async def layers_are_compressed_as_asked(given: Given):
    kinds = dagger.ImageLayerCompression
    asked = [None, kinds.GZIP, kinds.ZSTD, kinds.UNCOMPRESSED]
    answers = []
    for number, kind in enumerate(asked):
        path = str(given.path / f"{number}.tar")
        await given.box.as_tarball(forced_compression=kind).export(path)
        answers.append(manifest(path)["layers"][0]["mediaType"].endswith("gzip"))
    return answers


@case(C + "asTarball", gives="application/vnd.docker.distribution.manifest.v2+json")
async def an_archive_may_have_dockers_media_types(given: Given):
    path = str(given.path / "image.tar")
    await given.box.as_tarball(media_types=DOCKER).export(path)
    return manifest(path)["mediaType"]


def platforms(given: Given) -> list[dagger.Container]:
    content = given.dag.directory().with_new_file("f", "1")
    asked = ("linux/amd64", "linux/arm64", "linux/arm/v7")
    return [
        given.dag.container(platform=dagger.Platform(one)).with_rootfs(content) for one in asked
    ]


@case(C + "export", gives=["linux/amd64", "linux/arm/v7", "linux/arm64"])
async def an_archive_holds_several_platforms(given: Given):
    path = str(given.path / "image.tar")
    await given.dag.container().export(path, platform_variants=platforms(given))
    listed = inner(path, "index.json")["manifests"]
    if len(listed) == 1:
        listed = inner(path, "blobs/" + listed[0]["digest"].replace(":", "/"))["manifests"]
    found = (one["platform"] for one in listed)
    return sorted(
        "/".join(filter(None, [p["os"], p["architecture"], p.get("variant")])) for p in found
    )


@case(
    C + "asTarball",
    gives=Fails("linux/amd64"),
    differs=Differs(
        "Who pulls such an image can not say which of the two is meant.", dagger="image.tar"
    ),
)
async def one_platform_twice_is_an_error(given: Given):
    one = platforms(given)[0]
    it = given.dag.container().as_tarball(platform_variants=[one, one])
    await it.export(str(given.path / "image.tar"))
    return "image.tar"


@case(C + "import", gives="1")
async def an_image_of_another_platform_is_chosen(given: Given):
    path = str(given.path / "image.tar")
    await given.dag.container().export(path, platform_variants=platforms(given))
    other = given.dag.container(platform=dagger.Platform("linux/arm64"))
    return await other.import_(given.dag.host().file(path)).file("f").contents()


@case(C + "import", gives=Fails("(?i)manifest|index|archive|tar|layout"))
async def what_is_no_archive_is_not_imported(given: Given):
    return await given.dag.container().import_(given.dag.file("f", "no archive")).sync()


@case(C + "import", gives=Fails("nope"))
async def a_tag_that_is_not_in_the_archive_is_named(given: Given):
    back = given.dag.container().import_(given.box.as_tarball(), tag="nope")
    return await back.sync()


@case(C + "from", gives=Fails("(?i)not a reference"))
async def an_address_that_is_none_is_an_error(given: Given):
    return await given.dag.container().from_("not a reference").sync()


@case(C + "export", gives=Fails("file/below"))
async def an_export_that_can_not_be_written_says_where(given: Given):
    (given.path / "file").write_text("")
    return await given.box.export(str(given.path / "file/below"))


@case(C + "export", C + "import", gives=[True, True])
async def an_image_layer_keeps_whiteouts(given: Given):
    path = str(given.path / "image.tar")
    it = given.box.with_new_file("/gone", "").with_new_file("/kept", "").without_file("/gone")
    await it.export(path)
    back = given.dag.container().import_(given.dag.host().file(path))
    return [not await back.exists("/gone"), await back.exists("/kept")]


def tagged(archive: str, made: str) -> None:
    """Give the one image of an archive two tags."""
    with tarfile.open(archive) as source, tarfile.open(made, "w") as target:
        for member in source:
            if member.name not in {"index.json", "manifest.json"}:
                target.addfile(member, source.extractfile(member))
        [found] = json.load(source.extractfile("index.json"))["manifests"]
        rows = [
            found | {"annotations": {"org.opencontainers.image.ref.name": tag}}
            for tag in ("a", "b")
        ]
        text = json.dumps({"schemaVersion": 2, "manifests": rows}).encode()
        index = tarfile.TarInfo("index.json")
        index.size = len(text)
        target.addfile(index, io.BytesIO(text))


@case(C + "import", gives="content")
async def a_tag_chooses_an_image_of_an_archive(given: Given):
    one, two = (str(given.path / name) for name in ("one.tar", "two.tar"))
    await configured(given).export(one)
    tagged(one, two)
    it = given.dag.container().import_(given.dag.host().file(two), tag="b")
    return await it.file("/w/f").contents()


@case(C + "publish", gives=[True, True, 71], needs=("docker-registry", "loopback"))
async def publishing_gives_the_address_with_the_digest(given: Given):
    with real_registry(given.path / "registry") as registry:
        address = f"{registry.host}/team/app:1"
        published = await given.dag.container().publish(address, platform_variants=platforms(given))
        again = await given.dag.container().from_(address).file("f").contents()
    name, _, digest = published.partition("@")
    return [name == address, again == "1", len(digest)]


@case(
    C + "publish",
    "Host.service",
    gives=["1", True],
    differs=Differs(
        "A registry that is a service of the pipeline is asked in plain HTTP if it has no TLS; the "
        "Dagger engine wants that in its configuration.",
        dagger=Fails("HTTP response to HTTPS client"),
    ),
    needs=("docker-registry",),
)
async def a_registry_may_be_a_service(given: Given):
    with real_registry(given.path / "registry") as registry:
        port = dagger.PortForward(backend=registry.port, frontend=5000)
        service = given.dag.host().service([port])
        address = "registry:5000/team/app:1"
        published = await platforms(given)[0].publish(address, registry_service=service)
        back = given.dag.container().from_(address, registry_service=service)
        return [await back.file("f").contents(), published.startswith(f"{address}@sha256:")]


@case(C + "publish", gives=Fails("connection refused"))
async def publishing_to_nobody_is_an_error(given: Given):
    return await given.box.publish("127.0.0.1:1/app:1")


@case(C + "publish", gives=Fails("(?i)not a name|invalid reference"))
async def publishing_to_no_reference_is_an_error(given: Given):
    return await given.box.publish("127.0.0.1:1/App:1")


@case(
    C + "exportImage",
    gives=["a", "b"],
    differs=Differs(
        "A path names an OCI layout; other names go to a container runtime, as in Dagger.",
        dagger=Fails("(?i)reference"),
    ),
)
async def a_path_exports_an_image_into_a_layout(given: Given):
    for tag in ("a", "b"):
        # The SDK's own check of types refuses what it returns after all is done.
        with suppress(BeartypeCallHintReturnViolation):
            await given.box.export_image(f"{given.path}/images:{tag}")
    rows = json.loads((given.path / "images/index.json").read_text())["manifests"]
    return sorted(row["annotations"][REF_NAME] for row in rows)


@case(C + "withoutAnnotation", C + "withAnnotation", gives={"kept": "1"})
async def an_annotation_is_taken_away(given: Given):
    path = str(given.path / "image.tar")
    it = given.box.with_annotation("kept", "1").with_annotation("gone", "2")
    await it.without_annotation("gone").export(path)
    return manifest(path).get("annotations")
