"""The three backends for one test each: an address and the environment that opens it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.caches.open import open_transport
from pipelines.caches.transport import Transport
from tests.caches.transports.servers import KEYS, bucket
from tests.outside import real_registry

KINDS = ("directory", "s3", "oci")


@dataclass(frozen=True)
class Backend:
    """A backend that is empty."""

    kind: str
    url: str
    environ: dict[str, str] = field(default_factory=dict)

    def open(self) -> Transport:
        return open_transport(self.url, self.environ)

    @property
    def directory(self) -> Path:
        return Path(self.url.removeprefix("file://"))


@dataclass
class Servers:
    """What runs while the tests of a module do; `give` makes an empty place there."""

    kind: str
    root: Path
    server: object = None

    def give(self) -> Backend:
        name = uuid.uuid4().hex
        if self.kind == "s3":
            return Backend("s3", self.server.url(name), dict(KEYS))
        if self.kind == "oci":
            return Backend("oci", f"oci://{self.server.host}/of/{name}")
        return Backend("directory", f"file://{self.root / name}")


@contextmanager
def serving(kind: str, root: Path) -> Iterator[Servers]:
    """Run what a kind of backend needs."""
    if kind == "s3":
        with bucket() as server:
            yield Servers(kind, root, server)
    elif kind == "oci":
        with real_registry(root) as server:
            yield Servers(kind, root, server)
    else:
        yield Servers(kind, root)
