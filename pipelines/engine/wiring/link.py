"""How commands and services are connected: the part of the composition root that networks are.

Nothing is made here: a session that runs no command has no network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

from pipelines.engine.errors import SandboxError
from pipelines.engine.events import Events
from pipelines.engine.network.names import loopback_ports
from pipelines.engine.network.pool import Network
from pipelines.engine.run.exec import Execs, Store
from pipelines.engine.run.holding import Owner
from pipelines.engine.run.nesting import Doors, Nesting
from pipelines.engine.run.plugs import Plugs
from pipelines.engine.run.process import Limits
from pipelines.engine.run.rooms import Rooms
from pipelines.engine.run.seeds import Seeds
from pipelines.engine.run.services import Services
from pipelines.engine.run.serving import Serving
from pipelines.engine.sandbox.bwrap import Bubblewrap

__all__ = ["Links", "link"]


@dataclass(frozen=True, slots=True)
class Links:
    """The network of a session, its services, and what connects commands to both."""

    network: Network
    services: Services
    plugs: Plugs
    serving: Serving
    nesting: Nesting

    def execs(self, blobs: Store, permits: anyio.Semaphore) -> Execs:
        """Make what runs commands; it stands on the same parts as services do."""
        it = self.serving
        parts = (it.rooms, it.sandbox, it.seeds, blobs, it.events, permits, it.owner)
        return Execs(*parts, self.services, self.plugs, self.nesting)


def link(  # noqa: PLR0917 - the parts of a session
    rooms: Rooms,
    sandbox: Bubblewrap,
    seeds: Seeds,
    events: Events,
    owner: Owner,
    environ: Mapping[str, str],
    doors: Doors | None,
) -> Links:
    """Wire the parts.

    Raises:
        SandboxError: a variable says what can not be.
    """
    network = Network(
        events.warning,
        loopback_ports(rooms.host.environment),
        sandbox.group,
        private=_private(environ),
        search=environ.get("PATH"),
    )
    services = Services()
    plugs = Plugs(network, services, _text("/etc/resolv.conf"))
    serving = Serving(
        rooms, sandbox, seeds, network, services, plugs, events, _limits(environ), owner
    )
    return Links(network, services, plugs, serving, Nesting(doors))


def _private(environ: Mapping[str, str]) -> bool:
    chosen = environ.get("PIPELINES_NETWORK") or "private"
    if chosen not in {"private", "host"}:
        raise SandboxError(f"PIPELINES_NETWORK={chosen}: it takes 'private' or 'host'")
    return chosen == "private"


def _limits(environ: Mapping[str, str]) -> Limits:
    text = environ.get("PIPELINES_SERVICE_TIMEOUT", "")
    try:
        return Limits(float(text)) if text else Limits()
    except ValueError:
        raise SandboxError(f"PIPELINES_SERVICE_TIMEOUT={text}: not a number of seconds") from None


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
