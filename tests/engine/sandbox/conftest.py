import os
import shutil
from pathlib import Path

import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox import binary

BUSYBOX = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static")
APPLETS = ("cat", "chown", "env", "id", "ls", "mount", "sh", "sleep", "true", "touch", "unshare")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root filesystem: busybox, and the mount points that the engine would make."""
    found = next((path for path in BUSYBOX if os.access(path, os.X_OK)), None)
    if found is None:
        pytest.skip("busybox is not installed (package busybox-static)")
    top = tmp_path / "root"
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
        (top / name).mkdir(parents=True)
    (top / "tmp").chmod(0o1777)
    shutil.copy(found, top / "bin/busybox")
    for applet in APPLETS:
        (top / "bin" / applet).symlink_to("busybox")
    return top


@pytest.fixture(params=["root", "ranges", "single"])
def mode(request: pytest.FixtureRequest) -> str:
    try:
        binary.find()
    except SandboxError as exc:
        pytest.skip(str(exc))
    return request.param
