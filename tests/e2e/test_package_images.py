"""Images over Debian, made here from the host's mirror, in one store: they share layers."""

import os
import shutil
from pathlib import Path

import dagger
import pytest

from pipelines.engine.images.packages.bootstrap import TOOLS
from tests.e2e.conftest import lasting

# Ordinary users do not have the system's programs in their PATH; the engine looks there too.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APT = shutil.which("apt-get") is not None

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.sandbox,
    pytest.mark.network,
    pytest.mark.slow,
]
needs_debian = pytest.mark.skipif(
    not any(shutil.which(name, path=PATH) for name in TOOLS) or not APT,
    reason=f"needs apt-get and one of {', '.join(TOOLS)}",
)
needs_mmdebstrap = pytest.mark.skipif(
    not shutil.which("mmdebstrap", path=PATH) or not APT,
    reason="needs apt-get and mmdebstrap",
)

INSTALL = "apt-get update && apt-get install -y --no-install-recommends file && file /bin/ls"
CGO = """\
package main

// int two(void) { return 2; }
import "C"
import "fmt"

func main() { fmt.Println("two is", C.two()) }
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Give the module's tests one store: a base is made once."""
    with lasting(tmp_path_factory.mktemp("cache")) as root:
        yield root


@pytest.fixture
def store(kept, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))
    monkeypatch.delenv("PIPELINES_CACHE_DIR", raising=False)
    return kept / "pipelines"


def layers(store: Path) -> set[str]:
    return set(os.listdir(store / "snapshots"))


@needs_debian
async def test_apt_installs_in_a_debian_image(dag):
    box = dag.container().from_("debian:bookworm-slim")
    assert await box.label("io.pipelines.package-image.variant.version") == "slim"
    installed = await box.with_exec(["sh", "-c", INSTALL]).stdout()
    assert installed.splitlines()[-1].startswith("/bin/ls: ELF ")


@needs_mmdebstrap
async def test_pip_installs_in_a_python_image(dag):
    box = dag.container().from_("python:3.11-slim-bookworm")
    assert (await box.env_variable("PYTHON_VERSION") or "").startswith("3.11.")
    installed = box.with_exec(["python", "-m", "pip", "install", "six"])
    said = await installed.with_exec(["python3", "-c", "import six; print(six.__name__)"]).stdout()
    assert said == "six\n"
    venv = ["sh", "-c", "python -m venv /v && /v/bin/pip --version"]
    assert "/v/" in await box.with_exec(venv).stdout()


@needs_mmdebstrap
async def test_npm_works_in_a_node_image(dag, store):
    before = layers(store)
    box = dag.container().from_("node:22-slim")
    said = await box.with_exec(["npm", "--version"], use_entrypoint=True).stdout()
    assert said.startswith("10.")
    script = "console.log(process.version, require('os').userInfo().username)"
    user = box.with_user("node").with_exec(["-e", script], use_entrypoint=True)
    try:
        assert (await user.stdout()).split()[1] == "node"
    except dagger.QueryError as exc:  # where there is one id there is root alone
        assert "single user id" in str(exc)
    # Where Debian was there, only what Node.js and the commands changed has come.
    assert not before or len(layers(store) - before) <= 3


@needs_mmdebstrap
async def test_cgo_builds_in_a_golang_image_over_debian(dag):
    box = dag.container().from_("golang:bookworm")
    assert await box.workdir() == "/go"
    source = dag.directory().with_new_file("go.mod", "module x\n").with_new_file("x.go", CGO)
    built = box.with_directory("/src", source).with_workdir("/src")
    ran = built.with_exec(["go", "build", "-o", "/x", "."]).with_exec(["/x"])
    assert await ran.stdout() == "two is 2\n"
    assert (await box.with_exec(["git", "--version"]).stdout()).startswith("git version 2.")
    ran = built.with_exec(["sh", "-c", "gcc --version && make --version && curl --version"])
    assert "Free Software Foundation" in await ran.stdout()
