"""The registries of one session: put together when the first is asked, closed with it.

Nothing of `images.registry` is imported before: most sessions run on what is in the store.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from pipelines.engine.digest import Digest
from pipelines.engine.errors import Cancelled
from pipelines.engine.images.info import ImageInfo, Layer
from pipelines.engine.images.local import Images
from pipelines.engine.images.reference import Reference

if TYPE_CHECKING:
    from pipelines.engine.images.registry.client import Client
    from pipelines.engine.images.registry.credentials import Credentials
    from pipelines.engine.images.registry.hosts import Hosts

__all__ = ["Registries"]

_CHUNK = 1 << 20


class _Parts:
    """What speaks to registries."""

    def __init__(
        self,
        environ: Mapping[str, str],
        images: Images,
        warn: Callable[[str], None],
        sleep: Callable[[float], None],
        alive: Callable[[], None],
        *,
        route: "Route | None" = None,
        credentials: "Credentials | None" = None,
    ) -> None:
        from pipelines.engine.images.registry.blobs import RegistryBlobs
        from pipelines.engine.images.registry.client import Client
        from pipelines.engine.images.registry.credentials import Credentials
        from pipelines.engine.images.registry.hosts import Hosts
        from pipelines.engine.images.registry.images import RegistryImages
        from pipelines.engine.images.registry.retry import Patience
        from pipelines.engine.images.registry.settings import hosts
        from pipelines.engine.images.registry.transport import Http

        patience = Patience(sleep=sleep)
        where: Hosts = hosts(environ) if route is None else route.hosts()
        self.http: Http = Http(environ, routes={} if route is None else route.routes())
        self.credentials: Credentials = credentials or Credentials(environ)
        self.client: Client = Client(self.http, where, self.credentials, patience)
        self.images: RegistryImages = RegistryImages(self.client, images, warn, patience)
        self.blobs: RegistryBlobs = RegistryBlobs(self.client, images.blobs, patience, alive)


@dataclass(frozen=True, slots=True)
class Route:
    """A registry, by its host, that answers at another address, without TLS."""

    host: str
    address: tuple[str, int]

    def hosts(self) -> "Hosts":
        """Give the rules: no mirrors, no TLS."""
        from pipelines.engine.images.registry.hosts import DEFAULT, HostRules, Hosts

        return Hosts({self.host or DEFAULT: HostRules(plain_http=True)})

    def routes(self) -> dict[str, tuple[str, int]]:
        """Give the address by the network name."""
        [endpoint] = self.hosts().endpoints(self.host, write=True)
        return {endpoint.origin.partition("://")[2]: self.address}


class Registries:
    """What a session knows of registries; safe for threads."""

    def __init__(
        self,
        environ: Mapping[str, str],
        images: Images,
        warn: Callable[[str], None],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep what is needed to begin.

        Args:
            environ: where the configuration is.
            images: the local index, with the blobs.
            warn: says something to the user.
            alive: raises in a thread whose caller does not wait any more.
        """
        self._environ = environ
        self._images = images
        self._warn = warn
        self._alive = alive
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._made: _Parts | None = None

    @property
    def client(self) -> "Client":
        """What asks registries; see `images.registry.client`."""
        return self._parts().client

    def find(self, ref: Reference, platform: str, *, quick: bool = False) -> ImageInfo:
        """Pin a reference for a platform; `quick` does not wait for who is not there."""
        return self._parts().images.find(ref, platform, quick=quick)

    def ask(self, ref: Reference) -> Digest:
        """Give the digest that a tag has now, never what it was."""
        return self._parts().images.ask(ref)

    @contextmanager
    def fetching(
        self, reference: str, layers: Sequence[Layer], *, again: bool = False
    ) -> Iterator[Callable[[Layer], BinaryIO]]:
        """Begin to fetch the layers that are missing; give a function that opens one."""
        with self._parts().blobs.fetching(reference, layers, again=again) as opened:
            yield opened

    @contextmanager
    def at(self, host: str, address: tuple[str, int]) -> Iterator["Registries"]:
        """Speak to a registry that is a service at an address, with the session's logins."""
        other = Registries(self._environ, self._images, self._warn, self._alive)
        other._made = _Parts(
            self._environ,
            self._images,
            self._warn,
            other._sleep,
            self._alive,
            route=Route(host, address),
            credentials=self._parts().credentials,
        )
        try:
            yield other
        finally:
            other.close()

    def pull(self, ref: Reference, platform: str) -> ImageInfo:
        """Pin a reference, and fetch all of it now: its registry will not be there later."""
        info = self.find(ref, platform)
        with self.fetching(info.reference, info.layers) as opened:
            for layer in info.layers:
                with opened(layer) as file:
                    while file.read(_CHUNK):
                        pass
        return info

    def log_in(self, address: str, username: str, secret: Callable[[], bytes]) -> None:
        """Use a credential for the rest of the session."""
        self._parts().credentials.set(address, username, secret)

    def log_out(self, address: str) -> None:
        """Forget a credential that the session was given."""
        self._parts().credentials.unset(address)

    def close(self) -> None:
        """End what is in the air: whoever waits for a registry gets an error now."""
        self._ended.set()
        with self._lock:
            made = self._made
        if made is not None:
            made.http.close()
            made.blobs.close()

    def _parts(self) -> _Parts:
        with self._lock:
            if self._made is None:
                self._made = _Parts(
                    self._environ, self._images, self._warn, self._sleep, self._alive
                )
            return self._made

    def _sleep(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise Cancelled("the session is ending")
