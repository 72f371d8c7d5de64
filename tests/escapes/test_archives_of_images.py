"""Hostile layers and documents through the import of images, in a real session."""

import json

import dagger
import pytest

from tests.escapes.archives import oci, packed, saved
from tests.escapes.corpus import hard, layer, link, put
from tests.escapes.driving import wrong
from tests.escapes.guard import SECRET

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


async def imported(dag, tmp_path, content: bytes) -> dagger.Container:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    return dag.container().import_(dag.host().file(str(path), no_cache=True))


@pytest.mark.parametrize("form", [saved, oci])
async def test_no_case_of_the_corpus_touches_the_host(dag, guard, tmp_path, form):
    async def box(contents: list[bytes]) -> dagger.Container:
        return await imported(dag, tmp_path, form(contents))

    assert await wrong(guard, box) == {}


def documents(guard: str) -> dict[str, tuple[bytes, str]]:
    """Archives whose documents name what is not theirs, and what is said of each."""

    def rows(**changes: object) -> bytes:
        row = {"Config": "c.json", "RepoTags": None, "Layers": []} | changes
        return json.dumps([row]).encode()

    def index(digest: str) -> bytes:
        row = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1}
        return json.dumps({"manifests": [row | {"digest": digest}]}).encode()

    config = b'{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}'
    passwd = f"{guard}/passwd"
    manifest = put("manifest.json")[0], rows(Layers=["0/layer.tar"])
    return {
        "a config of the host": (packed({"manifest.json": rows(Config=passwd)}), "names"),
        "a layer of the host": (
            packed({"c.json": config, "manifest.json": rows(Layers=[passwd])}),
            "names",
        ),
        "a layer above the archive": (
            packed({"c.json": config, "manifest.json": rows(Layers=["../" * 9 + passwd])}),
            "names",
        ),
        "a layer that is a link to the host": (
            packed({"c.json": config, "manifest.json": manifest[1]}, link("0/layer.tar", passwd)),
            "names",
        ),
        "a layer that is a hard link to the host": (
            packed({"c.json": config, "manifest.json": manifest[1]}, hard("0/layer.tar", passwd)),
            "names",
        ),
        "an index that is a link to the host": (packed({}, link("index.json", passwd)), "neither"),
        "a digest that is a path": (
            packed({"index.json": index(f"sha256:../..{passwd}")}),
            "diges",
        ),
        "a digest that is not there": (
            packed({"index.json": index("sha256:" + "0" * 64)}),
            "missing or damaged",
        ),
        "an entry above the archive": (packed({"../../x": b""}), "leaves its root"),
    }


async def test_documents_of_an_archive_lead_nowhere_else(dag, guard, tmp_path):
    for name, (content, why) in documents(str(guard)).items():
        box = await imported(dag, tmp_path, content)
        with pytest.raises(dagger.QueryError, match=why) as caught:
            await box.rootfs().entries()
        assert SECRET not in str(caught.value), name
        guard.check()


SHELL = [layer(put("bin", kind=b"5"))]
CONFIGS = [
    {"WorkingDir": "../../../../tmp"},
    {"WorkingDir": "/proc/self/root"},
    {"User": "../../x"},
    {"Volumes": {"/proc/self/root/tmp": {}}},
    {"Env": ["no equals sign", "A=\u0000"]},
]


async def test_the_configuration_of_an_image_is_only_text(dag, guard, tmp_path):
    """Whatever it says, a command runs inside or does not run."""
    files = dag.container().from_("busybox").rootfs()
    for config in CONFIGS:
        box = await imported(dag, tmp_path, oci(SHELL, config))
        try:
            said = await box.with_rootfs(files).with_exec(["ls", "-a", "."]).stdout()
            assert "guarded" not in said
        except dagger.QueryError as exc:
            assert SECRET not in str(exc)
