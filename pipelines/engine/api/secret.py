"""Secrets: a name that keys, and a way to the value that is taken when a command starts.

A secret of `setSecret` is keyed by its name, one of `secret(uri)` by its address (or by an
explicit `cacheKey`), so rotating a value re-runs nothing. `mark` tells two values of one name
apart inside a session; it says nothing outside (a keyed hash whose key is never written).
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from anyio import to_thread

from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError, SourceError
from pipelines.engine.op import SecretRef

__all__ = ["FIELDS", "Secret", "from_address", "from_text", "known"]

PATIENCE = 60.0
_PROGRAMS = {
    "op": "op read op://VAULT/ITEM/FIELD",
    "vault": "vault kv get -field=FIELD PATH",
    "aws+sm": "aws secretsmanager get-secret-value --secret-id ID …",
    "aws+ps": "aws ssm get-parameter --name NAME --with-decryption …",
    "gcp": "gcloud secrets versions access latest --secret=NAME",
    "libsecret": "secret-tool lookup ATTRIBUTE VALUE",
}


class Fetch(Protocol):
    """Gives a secret's value."""

    def __call__(self) -> bytes:
        """Fetch the value."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Known:
    """A value that was handed over; ids see the mark alone."""

    mark: str
    fetch: Fetch

    def __call__(self) -> bytes:
        """Give the value."""
        return self.fetch()


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A variable of the engine's environment."""

    name: str

    def __call__(self) -> bytes:
        """Read it.

        Raises:
            SourceError: it is not set.
        """
        value = os.environb.get(os.fsencode(self.name))
        if value is None:
            raise SourceError(
                f"secret env://{self.name}: the variable is not set; "
                "set it where the pipeline is started"
            )
        return value


@dataclass(frozen=True, slots=True)
class FromFile:
    """A file of the host."""

    path: str

    def __call__(self) -> bytes:
        """Read it.

        Raises:
            SourceError: it can not be read.
        """
        try:
            return Path(self.path).read_bytes()
        except OSError as exc:
            raise SourceError(f"secret file://{self.path}: {exc.strerror}") from exc


@dataclass(frozen=True, slots=True)
class FromCommand:
    """What a program of the host prints: `sh -c`, with the engine's environment and no input.

    It runs once a session, in a process group that ends with the session. What it prints
    otherwise goes nowhere: it may be half a secret.
    """

    command: str
    workdir: str
    group: int
    once: Callable[[str, Callable[[], bytes]], bytes] = field(repr=False, compare=False)

    def __call__(self) -> bytes:
        """Run it.

        Raises:
            SourceError: it fails, prints nothing, or takes too long.
        """
        return self.once(self.command, self._run)

    def _run(self) -> bytes:
        shown = f"secret cmd://{self.command}"
        try:
            ran = subprocess.run(
                ["/bin/sh", "-c", self.command],
                cwd=self.workdir,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=PATIENCE,
                check=False,
                process_group=self.group,
            )
        except subprocess.TimeoutExpired as exc:
            raise SourceError(
                f"{shown}: it did not end in {PATIENCE:.0f} seconds; it has no terminal and no "
                "input, so it must not ask anything"
            ) from exc
        except OSError as exc:
            raise SourceError(f"{shown}: starting it: {exc.strerror} ({exc.filename})") from exc
        if ran.returncode != 0:
            raise SourceError(
                f"{shown}: it ended with exit code {ran.returncode}; its output is not shown, as "
                "it may hold a part of the secret: run it by hand to see"
            )
        if not ran.stdout:
            raise SourceError(f"{shown}: it printed nothing; its standard output is the secret")
        return ran.stdout


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret; `name` and `uri` are what it was asked for by, one of them is empty."""

    TYPE: ClassVar[str] = "Secret"

    name: str
    uri: str
    ref: SecretRef


def from_text(session: Session, name: str, plaintext: str) -> Secret:
    """Take a value that the caller has."""
    return Secret(name, "", known(session, name, plaintext))


def known(session: Session, name: str, plaintext: str) -> SecretRef:
    """Make a secret of a value that the caller has."""
    value = plaintext.encode()
    return SecretRef(name, Known(session.mark(value), lambda: value))


def from_address(session: Session, uri: str, cache_key: str | None) -> Secret:
    """Point to a value by `env:NAME`, `file:PATH` or `cmd:COMMAND`; nothing is read yet.

    Raises:
        QueryError: the address is of another kind or names nothing.
    """
    kind, _, rest = uri.partition(":")
    rest = rest.removeprefix("//")
    fetch: Fetch
    if kind == "env" and rest:
        fetch = FromEnvironment(rest)
    elif kind == "file" and rest:
        fetch = FromFile(str(session.engine.workdir / Path(rest).expanduser()))
    elif kind == "cmd" and rest:
        fetch = FromCommand(rest, str(session.engine.workdir), session.engine.group, session.once)
    else:
        raise QueryError(
            f"secret({uri!r}): the embedded engine reads env://NAME, file://PATH and "
            f"cmd://COMMAND{_instead(kind)}; for other providers run on the Dagger engine: "
            "--engine dagger"
        )
    address = f"{kind}://{rest}"
    return Secret("", address, SecretRef(cache_key or address, fetch))


def _instead(kind: str) -> str:
    """Say how a provider that is not spoken to can be reached by its own program."""
    program = _PROGRAMS.get(kind)
    return f", where `cmd://{program}` asks {kind}'s own program" if program else ""


def name(_session: Session, secret: Secret) -> str:
    """Give the name that the secret was set by."""
    return secret.name


def uri(_session: Session, secret: Secret) -> str:
    """Give the address that the secret was asked for by."""
    return secret.uri


async def plaintext(_session: Session, secret: Secret) -> str:
    """Give the value."""
    value = await to_thread.run_sync(secret.ref.value, abandon_on_cancel=True)
    return value.decode("utf-8", "replace")


FIELDS: dict[str, Callable[..., Any]] = {"name": name, "plaintext": plaintext, "uri": uri}
