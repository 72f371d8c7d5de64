"""A Debian image, made here from the host's mirror, with apt in it."""

import shutil

import pytest

from pipelines.engine.images.packages.bootstrap import TOOLS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.sandbox,
    pytest.mark.network,
    pytest.mark.slow,
]

# Ordinary users do not have the system's programs in their PATH; the engine looks there too.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTALL = "apt-get update && apt-get install -y --no-install-recommends file && file /bin/ls"


@pytest.mark.skipif(
    not any(shutil.which(name, path=PATH) for name in TOOLS) or not shutil.which("apt-get"),
    reason=f"needs apt-get and one of {', '.join(TOOLS)}",
)
async def test_apt_installs_in_a_debian_image(dag):
    box = dag.container().from_("debian:bookworm-slim")
    assert await box.label("io.pipelines.package-image.variant.version") == "slim"
    installed = await box.with_exec(["sh", "-c", INSTALL]).stdout()
    assert installed.splitlines()[-1].startswith("/bin/ls: ELF ")
