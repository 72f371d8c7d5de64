"""Registries by host: at which addresses they answer, and how those are trusted.

A registry is asked at its mirrors first (to read), then at itself. What the configuration
does not say: a loopback host speaks plain HTTP, as in Docker and containerd, every other
one TLS. An insecure registry is tried with TLS that proves nothing, then without.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipelines.engine.images.reference import DEFAULT
from pipelines.engine.images.registry.transport import Trust, is_loopback

__all__ = ["DEFAULT", "Endpoint", "HostRules", "Hosts"]

_TLS_PORT = 443


@dataclass(frozen=True, slots=True)
class HostRules:
    """What is configured for one registry; mirrors are addresses with or without a scheme."""

    mirrors: tuple[str, ...] = ()
    insecure: bool = False
    plain_http: bool = False
    authorities: tuple[str, ...] = ()
    location: str = ""
    blocked: bool = False

    def over(self, other: "HostRules") -> "HostRules":
        """Put what this says before what another file says."""
        return HostRules(
            tuple(dict.fromkeys((*self.mirrors, *other.mirrors))),
            self.insecure or other.insecure,
            self.plain_http or other.plain_http,
            tuple(dict.fromkeys((*self.authorities, *other.authorities))),
            self.location or other.location,
            self.blocked or other.blocked,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address: `host` is what credentials are kept under, `prefix` stands before names."""

    scheme: str
    host: str
    prefix: str = ""
    trust: Trust = field(default_factory=Trust)
    mirror: bool = False

    def url(self, name: str, path: str) -> str:
        """Spell the URL of a repository's path, as `manifests/latest`."""
        address = f"{self.scheme}://{_address(self.host)}/v2/"
        return address + (f"{self.prefix}{name}/{path}" if name else "")

    @property
    def origin(self) -> str:
        """Scheme and host: what may see this endpoint's authorization."""
        return f"{self.scheme}://{_address(self.host)}"


@dataclass(frozen=True, slots=True)
class Hosts:
    """The registries' rules, by host; `certificates(host)` finds more authorities."""

    rules: Mapping[str, HostRules] = field(default_factory=dict)
    certificates: Callable[[str], tuple[str, ...]] = lambda _host: ()

    def endpoints(self, host: str, *, write: bool = False) -> tuple[Endpoint, ...]:
        """Give the addresses to try, in order; mirrors are not written to."""
        rules = self.of(host)
        found: list[Endpoint] = []
        for mirror in () if write else rules.mirrors:
            found += self._endpoints(mirror, mirror=True)
        return (*found, *self._endpoints(rules.location or host or DEFAULT, own=rules))

    def of(self, host: str) -> HostRules:
        """Give what is configured for a registry; "" is the default one."""
        return self.rules.get(host or DEFAULT, HostRules())

    def _endpoints(
        self, address: str, *, own: HostRules | None = None, mirror: bool = False
    ) -> list[Endpoint]:
        """Read an address `[scheme://]host[:port][/prefix]`."""
        scheme, _, rest = address.rpartition("://")
        host, _, prefix = rest.partition("/")
        rules = self.rules.get(host, HostRules())
        rules = own.over(rules) if own else rules
        trust = Trust(not rules.insecure, (*rules.authorities, *self.certificates(host)))
        schemes = [scheme] if scheme else _schemes(host, rules)
        prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        return [Endpoint(each, host, prefix, trust, mirror) for each in schemes]


def _schemes(host: str, rules: HostRules) -> list[str]:
    parts = urlsplit(f"//{host}")
    if rules.plain_http:
        return ["http"]
    if rules.insecure:
        return ["https", "http"]
    if rules.authorities or parts.port == _TLS_PORT:
        return ["https"]
    return ["http"] if is_loopback(parts.hostname or "") else ["https"]


def _address(host: str) -> str:
    """Give the network name; the default registry answers at another than its own."""
    return f"registry-1.{DEFAULT}" if host == DEFAULT else host
