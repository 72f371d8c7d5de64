"""Container fields that change or read the configuration."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipelines.engine.api.config import put, take
from pipelines.engine.api.container import Container
from pipelines.engine.api.secret import Secret
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import EnvVariable, Healthcheck, Label, Port
from pipelines.engine.errors import QueryError

__all__ = ["FIELDS"]


# --- variables ---------------------------------------------------------------------------


def _name(where: str, name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise QueryError(f"Container.{where}: not a variable's name: {name!r}")
    return name


def _unset(it: Container, name: str) -> Container:
    """Take a variable away, wherever its value comes from: the last setting counts."""
    return replace(
        it.configured(env=take(it.config.env, name)),
        secret_env=tuple(pair for pair in it.secret_env if pair[0] != name),
        volatile=take(it.volatile, name),
    )


def with_env_variable(
    _session: Session, it: Container, *, name: str, value: str, expand: bool
) -> Container:
    """Set a variable."""
    value = it.text(value, expand)
    if name in it.hidden:
        it = _unset(it, name)
    return it.configured(env=put(it.config.env, _name("withEnvVariable", name), value))


def without_env_variable(_session: Session, it: Container, *, name: str) -> Container:
    """Unset a variable."""
    return it.configured(env=take(it.config.env, name))


def with_secret_variable(
    _session: Session, it: Container, *, name: str, secret: Secret
) -> Container:
    """Set a variable to a secret."""
    it = _unset(it, _name("withSecretVariable", name))
    return replace(it, secret_env=(*it.secret_env, (name, secret.ref)))


def without_secret_variable(_session: Session, it: Container, *, name: str) -> Container:
    """Unset a secret variable."""
    kept = tuple(pair for pair in it.secret_env if pair[0] != name)
    return replace(it, secret_env=kept)


def with_volatile_variable(_session: Session, it: Container, *, name: str, value: str) -> Container:
    """Set a variable whose value keys nothing."""
    it = _unset(it, _name("withVolatileVariable", name))
    return replace(it, volatile=(*it.volatile, (name, value)))


def without_volatile_variable(_session: Session, it: Container, *, name: str) -> Container:
    """Unset a volatile variable."""
    return replace(it, volatile=take(it.volatile, name))


def env_variable(_session: Session, it: Container, *, name: str) -> str | None:
    """Read a variable; None if it is not set."""
    return dict(it.config.env).get(name)


def env_variables(_session: Session, it: Container) -> tuple[EnvVariable, ...]:
    """List the variables."""
    return tuple(EnvVariable(*pair) for pair in it.config.env)


# --- command -----------------------------------------------------------------------------


def with_workdir(_session: Session, it: Container, *, path: str, expand: bool) -> Container:
    """Change the working directory."""
    return it.configured(workdir=it.at(path, expand))


def without_workdir(_session: Session, it: Container) -> Container:
    """Go back to the root."""
    return it.configured(workdir="")


def workdir(_session: Session, it: Container) -> str:
    """Read the working directory, "" for none."""
    return it.config.workdir


def with_user(_session: Session, it: Container, *, name: str) -> Container:
    """Change the user."""
    return it.configured(user=name)


def without_user(_session: Session, it: Container) -> Container:
    """Go back to root."""
    return it.configured(user="")


def user(_session: Session, it: Container) -> str:
    """Read the user, "" for none."""
    return it.config.user


def with_entrypoint(
    _session: Session, it: Container, *, args: tuple[str, ...], keep_default_args: bool
) -> Container:
    """Set the entrypoint; the default arguments went with the old one."""
    kept = it.config.default_args if keep_default_args else None
    return it.configured(entrypoint=args, default_args=kept)


def without_entrypoint(session: Session, it: Container, *, keep_default_args: bool) -> Container:
    """Unset the entrypoint."""
    made = with_entrypoint(session, it, args=(), keep_default_args=keep_default_args)
    return made.configured(entrypoint=None)


def entrypoint(_session: Session, it: Container) -> tuple[str, ...]:
    """Read the entrypoint."""
    return it.config.entrypoint or ()


def with_default_args(_session: Session, it: Container, *, args: tuple[str, ...]) -> Container:
    """Set the default arguments."""
    return it.configured(default_args=args, chosen_args=True)


def without_default_args(_session: Session, it: Container) -> Container:
    """Unset the default arguments."""
    return it.configured(default_args=None, chosen_args=False)


def default_args(_session: Session, it: Container) -> tuple[str, ...]:
    """Read the default arguments."""
    return it.config.default_args or ()


# --- image -------------------------------------------------------------------------------


def with_label(_session: Session, it: Container, *, name: str, value: str) -> Container:
    """Set a label."""
    return it.configured(labels=put(it.config.labels, name, value))


def without_label(_session: Session, it: Container, *, name: str) -> Container:
    """Remove a label."""
    return it.configured(labels=take(it.config.labels, name))


def label(_session: Session, it: Container, *, name: str) -> str | None:
    """Read a label; None if it is not set."""
    return dict(it.config.labels).get(name)


def labels(_session: Session, it: Container) -> tuple[Label, ...]:
    """List the labels."""
    return tuple(Label(*pair) for pair in it.config.labels)


def with_annotation(_session: Session, it: Container, *, name: str, value: str) -> Container:
    """Set an annotation of the image's manifest."""
    return it.configured(annotations=put(it.config.annotations, name, value))


def without_annotation(_session: Session, it: Container, *, name: str) -> Container:
    """Remove an annotation."""
    return it.configured(annotations=take(it.config.annotations, name))


def with_exposed_port(
    session: Session,
    it: Container,
    *,
    port: int,
    protocol: str,
    description: str | None,
    experimental_skip_healthcheck: bool,
) -> Container:
    """Expose a port.

    Raises:
        QueryError: not a port's number.
    """
    if not 0 < port < 65536:  # noqa: PLR2004
        raise QueryError(f"Container.withExposedPort: not a port: {port}")
    made = Port(port, protocol, description, experimental_skip_healthcheck)
    others = without_exposed_port(session, it, port=port, protocol=protocol)
    return others.configured(ports=(*others.config.ports, made))


def without_exposed_port(
    _session: Session, it: Container, *, port: int, protocol: str
) -> Container:
    """Expose a port no longer."""
    gone = Port(port, protocol).spelled
    return it.configured(ports=tuple(p for p in it.config.ports if p.spelled != gone))


def exposed_ports(_session: Session, it: Container) -> tuple[Port, ...]:
    """List the exposed ports."""
    return it.config.ports


def with_docker_healthcheck(
    _session: Session,
    it: Container,
    *,
    args: tuple[str, ...],
    shell: bool | None,
    interval: str | None,
    timeout: str | None,
    start_period: str | None,
    start_interval: str | None,
    retries: int | None,
) -> Container:
    """Set the health check.

    Raises:
        QueryError: no command, more than one text for a shell, or a duration that is none.
    """
    if not args or (shell and len(args) != 1):
        wanted = "exactly one text, which a shell reads" if shell else "a command and its arguments"
        raise QueryError(f"Container.withDockerHealthcheck: args is {list(args)}; give {wanted}")
    times = (interval, timeout, start_period, start_interval)
    made = Healthcheck.of_texts(args, shell or False, times, retries)
    return it.configured(healthcheck=made)


def without_docker_healthcheck(_session: Session, it: Container) -> Container:
    """Remove the health check."""
    return it.configured(healthcheck=None)


def docker_healthcheck(_session: Session, it: Container) -> Healthcheck | None:
    """Read the health check."""
    return it.config.healthcheck


def platform(_session: Session, it: Container) -> str:
    """Read the platform."""
    return it.platform


FIELDS: dict[str, Callable[..., Any]] = {
    "defaultArgs": default_args,
    "dockerHealthcheck": docker_healthcheck,
    "entrypoint": entrypoint,
    "envVariable": env_variable,
    "envVariables": env_variables,
    "exposedPorts": exposed_ports,
    "label": label,
    "labels": labels,
    "platform": platform,
    "user": user,
    "withAnnotation": with_annotation,
    "withDefaultArgs": with_default_args,
    "withDockerHealthcheck": with_docker_healthcheck,
    "withEntrypoint": with_entrypoint,
    "withEnvVariable": with_env_variable,
    "withExposedPort": with_exposed_port,
    "withLabel": with_label,
    "withSecretVariable": with_secret_variable,
    "withUser": with_user,
    "withVolatileVariable": with_volatile_variable,
    "withWorkdir": with_workdir,
    "withoutAnnotation": without_annotation,
    "withoutDefaultArgs": without_default_args,
    "withoutDockerHealthcheck": without_docker_healthcheck,
    "withoutEntrypoint": without_entrypoint,
    "withoutEnvVariable": without_env_variable,
    "withoutExposedPort": without_exposed_port,
    "withoutLabel": without_label,
    "withoutSecretVariable": without_secret_variable,
    "withoutUser": without_user,
    "withoutVolatileVariable": without_volatile_variable,
    "withoutWorkdir": without_workdir,
    "workdir": workdir,
}
