"""Images of a real registry: Debian's docker-registry on loopback, filled by skopeo."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import dagger
import pytest

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.sandbox,
    pytest.mark.skipif(
        not (shutil.which("docker-registry") and shutil.which("skopeo")),
        reason="needs docker-registry and skopeo: apt-get install docker-registry skopeo",
    ),
]

CONFIG = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: "127.0.0.1:%d"}
"""


class Registry:
    def __init__(self, root: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        config = root / "config.yml"
        config.write_text(CONFIG % (root / "data", self.port))
        self.process = subprocess.Popen(
            ["docker-registry", "serve", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not self.listens():
            assert time.monotonic() < deadline, "docker-registry does not listen"
            time.sleep(0.02)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def push(self, archive: Path, name: str) -> None:
        """Copy an archive to the registry."""
        subprocess.run(
            [
                *("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "--all"),
                f"oci-archive:{archive}",
                f"docker://{self.host}/{name}",
            ],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )

    def digest(self, name: str) -> str:
        told = subprocess.run(
            [
                *("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}"),
                f"docker://{self.host}/{name}",
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        return told.stdout.strip()


@pytest.fixture
def registry(tmp_path):
    running = Registry(tmp_path)
    yield running
    running.close()


@pytest.fixture
async def image(session, registry, tmp_path):
    """An image of two layers of our own making, pushed by skopeo; its archive, too."""
    archive = tmp_path / "image.tar"
    async with session() as (dag, _):
        built = (
            dag.container()
            .from_("busybox")
            .with_new_file("/greeting", "hello")
            .with_label("l", "v")
        )
        await built.export(str(archive))
    registry.push(archive, "team/app:1")
    shutil.rmtree(os.environ["XDG_CACHE_HOME"])
    return f"{registry.host}/team/app:1"


async def test_an_image_is_pulled_and_run(session, image, registry):
    async with session() as (dag, _):
        it = dag.container().from_(image)
        assert await it.label("l") == "v"
        assert await it.with_exec(["cat", "/greeting"]).stdout() == "hello"
        assert await it.image_ref() == f"{image}@{registry.digest('team/app:1')}"


async def test_a_missing_tag_is_told(session, image):
    async with session() as (dag, _):
        with pytest.raises(dagger.QueryError, match="no such tag, or no such repository"):
            await dag.container().from_(image + "1").sync()
