"""Services: commands that run while others use them, ports of the host, tunnels to the host.

A service is a value like everything else. It runs when a bound command does, when it is
started, or while a tunnel to it is open; its hostname is known before: it is made from the
definition.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import anyio

from pipelines.engine.api.container import Container
from pipelines.engine.api.ids import identify
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import Healthcheck, Port, nanoseconds
from pipelines.engine.digest import digest_json
from pipelines.engine.errors import QueryError, UnsupportedField
from pipelines.engine.keys import Command, exec_op
from pipelines.engine.op import (
    AnyService,
    Binding,
    Check,
    Endpoint,
    Forward,
    HostService,
    Tunnel,
)
from pipelines.engine.op import Service as Definition

__all__ = ["CONTAINER", "FIELDS", "HOST", "Service"]

LONGEST_LABEL = 63
LOCALHOST = "localhost"


@dataclass(frozen=True, slots=True)
class Service:
    """A service, running or not."""

    TYPE: ClassVar[str] = "Service"

    service: AnyService


# --- making one --------------------------------------------------------------------------


def as_service(
    _session: Session,
    it: Container,
    *,
    args: tuple[str, ...],
    use_entrypoint: bool,
    experimental_privileged_nesting: bool,
    insecure_root_capabilities: bool,
    expand: bool,
    no_init: bool,  # noqa: ARG001  # the sandbox is its own init
) -> Service:
    """Make a service of a container: its command, or its default arguments.

    Source: dagger `core/container.go` `AsService`: an image's entrypoint counts when neither
    `args` nor `withDefaultArgs` says what to run.

    Raises:
        QueryError: there is nothing to run.
        UnsupportedField: the command is to have powers that the sandbox does not give.
    """
    for asked, name in (
        (experimental_privileged_nesting, "experimentalPrivilegedNesting"),
        (insecure_root_capabilities, "insecureRootCapabilities"),
    ):
        if asked:
            raise UnsupportedField(f"Container.asService({name})")
    words = _words(it, tuple(it.text(arg, expand) for arg in args), use_entrypoint)
    if not words:
        raise QueryError(
            "Container.asService: nothing to run: args is empty, and the container has neither "
            "default args nor an entrypoint"
        )
    return _defined(it, words)


def _defined(it: Container, words: tuple[str, ...]) -> Service:
    """Make the definition: a command, and what the image says of its ports and health."""
    made = exec_op(
        Command(words),
        root=it.rootfs,
        env=it.config.env,
        workdir=it.config.workdir,
        user=it.config.user,
        platform=it.platform,
        mounts=it.mounts,
        secret_env=it.secret_env,
        volatile=it.volatile,
        services=it.services,
    )
    ports = tuple(
        Endpoint(port.port, port.protocol, not port.experimental_skip_healthcheck)
        for port in it.config.ports
    )
    check = _check(it.config.healthcheck)
    spelled = [[port.port, port.protocol] for port in ports]
    name = _hostname(["service", made.digest, spelled, list(check.args) if check else None])
    return Service(Definition(made, name, ports, check, it.config.stop_signal, identify(it)))


def _words(it: Container, args: tuple[str, ...], use_entrypoint: bool) -> tuple[str, ...]:
    entrypoint = it.config.entrypoint or ()
    if args:
        return (*entrypoint, *args) if use_entrypoint else args
    default = it.config.default_args or ()
    return default if it.config.chosen_args and not use_entrypoint else (*entrypoint, *default)


def _check(health: Healthcheck | None) -> Check | None:
    """Take over a health check; Docker's `NONE` switches an inherited one off."""
    if health is None or not health.args:
        return None
    words = ("/bin/sh", "-c", " ".join(health.args)) if health.shell else health.args
    seconds = [nanoseconds(text) // 10**9 for text in (health.interval, health.timeout)]
    return Check(words, *seconds)


def _hostname(definition: object) -> str:
    return "s" + digest_json(definition).hex[:12]


def with_service_binding(
    _session: Session, it: Container, *, alias: str, service: Service
) -> Container:
    """Let commands reach a service by a name.

    Raises:
        QueryError: the name is none, or what is bound is a tunnel.
    """
    if isinstance(service.service, Tunnel):
        raise QueryError(
            f"withServiceBinding({alias!r}): a tunnel leads to the host; bind the service itself"
        )
    bound = Binding(_label("withServiceBinding", alias), service.service)
    kept = (each for each in it.services if each.alias != alias)
    return replace(it, services=(*kept, bound))


def _label(where: str, name: str) -> str:
    """Check a host name: one label or several, of letters, digits and hyphens."""
    labels = name.split(".")
    plain = all(
        0 < len(label) <= LONGEST_LABEL
        and label.replace("-", "").replace("_", "").isalnum()
        and label.isascii()
        and label[0] != "-"
        for label in labels
    )
    if not plain:
        raise QueryError(f"{where}: {name!r} is not a host name; use letters, digits and hyphens")
    return name


def _forwards(where: str, ports: Sequence[Mapping[str, Any]]) -> tuple[Forward, ...]:
    found = []
    for port in ports:
        made = Forward(port["frontend"] or 0, port["backend"], port["protocol"] or "TCP")
        if made.protocol != "TCP":
            raise UnsupportedField(f"{where}(ports: UDP)", "only TCP ports are passed on")
        if not 0 < made.backend < 1 << 16 or not 0 <= made.frontend < 1 << 16:
            raise QueryError(f"{where}: a port is a number from 1 to 65535, not {port}")
        found.append(made)
    return tuple(found)


def host_service(
    _session: Session, _host: object, *, ports: tuple[Mapping[str, Any], ...], host: str
) -> Service:
    """Make a service of ports that something on the host, or near it, listens on.

    Raises:
        QueryError: no port is named.
    """
    if not ports:
        raise QueryError("Host.service: ports is empty; name the ports that are to be reached")
    forwards = _forwards("Host.service", ports)
    spelled = [[f.frontend, f.backend] for f in forwards]
    return Service(HostService(host, forwards, _hostname(["host", host, spelled])))


def host_tunnel(
    _session: Session,
    _host: object,
    *,
    service: Service,
    native: bool,
    ports: tuple[Mapping[str, Any], ...],
) -> Service:
    """Make a way from the host's loopback to a service; it is open once it is started.

    Raises:
        QueryError: it is a tunnel already.
    """
    if isinstance(service.service, Tunnel):
        raise QueryError("Host.tunnel: the service is a tunnel already")
    return Service(Tunnel(service.service, _forwards("Host.tunnel", ports), native))


# --- reading and running it --------------------------------------------------------------


def with_hostname(_session: Session, it: Service, *, hostname: str) -> Service:
    """Choose the hostname.

    Raises:
        QueryError: it is none, or the service is a tunnel.
    """
    if isinstance(it.service, Tunnel):
        raise QueryError("Service.withHostname: a tunnel is at localhost")
    return Service(replace(it.service, hostname=_label("withHostname", hostname)))


def hostname(_session: Session, it: Service) -> str:
    """Give the hostname by which commands reach it while it runs."""
    return LOCALHOST if isinstance(it.service, Tunnel) else it.service.hostname


def ports(session: Session, it: Service) -> tuple[Port, ...]:
    """List the ports that can be reached.

    Raises:
        QueryError: it is a tunnel that is not open.
    """
    match it.service:
        case Definition():
            return tuple(
                Port(port.port, port.protocol, None, not port.checked) for port in it.service.ports
            )
        case HostService():
            return tuple(Port(f.frontend or f.backend, f.protocol) for f in it.service.forwards)
        case Tunnel():
            return tuple(Port(f.frontend, f.protocol) for f in _open(session, it.service))


def _open(session: Session, tunnel: Tunnel) -> tuple[Forward, ...]:
    found = session.engine.open_tunnel(tunnel)
    if found is None:
        raise QueryError(
            f"the tunnel to service {tunnel.service.hostname} is not open; start it first"
        )
    return found


def endpoint(session: Session, it: Service, *, port: int | None, scheme: str) -> str:
    """Spell where it is reached: host:port, or a URL with a scheme.

    Raises:
        QueryError: no port is named and it has none.
    """
    number = port
    if number is None:
        known = ports(session, it)
        if not known:
            raise QueryError(
                f"Service.endpoint: service {hostname(session, it)} exposes no port; "
                "name one, or expose one (withExposedPort) before asService"
            )
        number = known[0].port
    where = f"{hostname(session, it)}:{number}"
    return f"{scheme}://{where}" if scheme else where


async def start(session: Session, it: Service) -> str:
    """Start it, wait until it is ready, and keep it until it is stopped."""
    await session.engine.start_service(it.service)
    return session.objects.remember(it)


async def stop(session: Session, it: Service, *, kill: bool) -> str:
    """Stop it, at once if `kill`."""
    await session.engine.stop_service(it.service, kill)
    return session.objects.remember(it)


async def sync(session: Session, it: Service) -> str:
    """Force what it is made of."""
    if isinstance(it.service, Definition):
        for edge in it.service.process.inputs:
            await session.engine.solve(edge.op)
    return session.objects.remember(it)


async def up(
    session: Session, it: Service, *, ports: tuple[Mapping[str, Any], ...], random: bool
) -> None:
    """Open it to the host until the query is cancelled.

    Raises:
        QueryError: it is a tunnel already.
    """
    if isinstance(it.service, Tunnel):
        raise QueryError("Service.up: a tunnel is opened by start")
    forwards = _forwards("Service.up", ports)
    tunnel = Tunnel(it.service, forwards, native=not random and not forwards)
    opened = await session.engine.start_service(tunnel)
    try:
        for forward in opened:
            session.engine.notice(
                f"{LOCALHOST}:{forward.frontend} leads to {it.service.hostname}:{forward.backend}"
            )
        await session.engine.until_over(tunnel)
    finally:
        with anyio.CancelScope(shield=True):
            await session.engine.stop_service(tunnel, False)


async def container_up(
    session: Session,
    it: Container,
    *,
    random: bool,
    ports: tuple[Mapping[str, Any], ...],
    args: tuple[str, ...],
    use_entrypoint: bool,
    experimental_privileged_nesting: bool,
    insecure_root_capabilities: bool,
    expand: bool,
    no_init: bool,
) -> None:
    """Run the container as a service, open to the host, until the query is cancelled."""
    service = as_service(
        session,
        it,
        args=args,
        use_entrypoint=use_entrypoint,
        experimental_privileged_nesting=experimental_privileged_nesting,
        insecure_root_capabilities=insecure_root_capabilities,
        expand=expand,
        no_init=no_init,
    )
    await up(session, service, ports=ports, random=random)


FIELDS: dict[str, Callable[..., Any]] = {
    "endpoint": endpoint,
    "hostname": hostname,
    "ports": ports,
    "start": start,
    "stop": stop,
    "sync": sync,
    "up": up,
    "withHostname": with_hostname,
}
CONTAINER: dict[str, Callable[..., Any]] = {
    "asService": as_service,
    "up": container_up,
    "withServiceBinding": with_service_binding,
}
HOST: dict[str, Callable[..., Any]] = {"service": host_service, "tunnel": host_tunnel}
