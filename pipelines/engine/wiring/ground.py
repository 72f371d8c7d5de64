"""The ground: what every root filesystem stands on, and what the host lends to commands.

The ground is a directory that shows through below an image's lowest layer: mount points that
an image may lack, and the host's CA bundle where programs look for one. An image that has
its own is not touched, a command that replaces one writes into its own layer, and nothing of
the ground ever enters an image or a key.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from pipelines.engine.run.lent import Host
from pipelines.engine.sandbox.cabundle import ca_environment, find_bundle, host_environment

__all__ = ["lay", "lent"]

CA_PATH = "etc/ssl/certs/ca-certificates.crt"


def lay(root: Path, bundle: Path | None) -> Path:
    """Make the ground in an empty directory."""
    for name in ("proc", "sys", "dev", "run", "etc", "root"):
        (root / name).mkdir(mode=0o755, parents=True)
    (root / "root").chmod(0o700)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    for name in ("resolv.conf", "hosts"):
        (root / "etc" / name).touch(mode=0o644)
    if bundle is not None:
        (root / CA_PATH).parent.mkdir(parents=True)
        shutil.copyfile(bundle, root / CA_PATH)
    return root


def lent(environ: Mapping[str, str], home: Path) -> Host:
    """Gather what the host lends to commands."""
    bundle = find_bundle(environ)
    environment = host_environment(environ, str(home))
    if bundle is not None:
        environment |= ca_environment()
    return Host(environment, bundle)
