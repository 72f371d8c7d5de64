"""What a command is lent: the host's settings, its connection, its secrets. None is in a key."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.op import Exec, SecretMount
from pipelines.engine.sandbox.base import Inside

__all__ = ["HOSTNAME", "Host", "Plug", "Secrets"]

HOSTNAME = "dagger"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values of an exec's secrets: by variable name, and by mount target."""

    env: tuple[tuple[str, bytes], ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def fetch(cls, op: Exec) -> "Secrets":
        """Ask for every value, now that a command is about to start."""
        return cls(
            tuple((name, ref.value()) for name, ref in op.secret_env),
            tuple((m.target, m.secret.value()) for m in op.mounts if isinstance(m, SecretMount)),
        )

    def values(self) -> list[bytes]:
        """List the values, for the scrubber."""
        return [value for _, value in (*self.env, *self.files)]


@dataclass(frozen=True, slots=True)
class Host:
    """What the host lends to every exec; none of it is ever part of a key.

    `environment` holds defaults for variables that the exec does not set; `ca_bundle` the
    host's certificates.
    """

    environment: Mapping[str, str]
    ca_bundle: Path | None


@dataclass(frozen=True, slots=True)
class Plug:
    """How a command is connected: the files that say so, its name, and where it starts.

    `inside` is a thread in its network namespace; None for the machine's network. `network`
    says which it got: "private", "host" or "none".
    """

    hosts: bytes
    resolv_conf: bytes
    hostname: str = HOSTNAME
    inside: Inside | None = None
    network: str = "host"
