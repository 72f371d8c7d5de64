"""Package images of another machine: what is in them, and that it runs."""

import shutil

import dagger
import pytest

from tests.engine.sandbox.test_emulation import needs_qemu

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.sandbox,
    pytest.mark.network,
    pytest.mark.slow,
]

ARM64 = dagger.Platform("linux/arm64")


@needs_qemu
@pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt-get")
async def test_busybox_and_go_are_had_for_another_machine(dag):
    box = dag.container(platform=ARM64).from_("busybox")
    assert await box.with_exec(["uname", "-m"]).stdout() == "aarch64\n"
    assert "ls" in await box.with_exec(["ls", "/bin"]).stdout()
    golang = dag.container(platform=ARM64).from_("golang:1.26")
    said = await golang.with_exec(["go", "version"]).stdout()
    assert said.startswith("go version go1.26.")
    assert said.endswith(" linux/arm64\n")
