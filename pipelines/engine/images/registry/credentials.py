"""Who we are at a registry.

Asked in this order, the first that knows the host answers:
    1. what the session was given (`withRegistryAuth`)
    2. the file that `REGISTRY_AUTH_FILE` names, or Docker's `config.json` (`DOCKER_CONFIG`,
       else `~/.docker`), or the `auth.json` of podman and skopeo
In a file, a host's own `credHelpers` program goes before `auths`, and `credsStore` after.

Secrets are read when a registry asks for them and kept in memory for the session. They are
in no message and no key. Sources: docker/cli "config.json", docker-credential-helpers;
containers-auth.json(5).
"""

import json
import subprocess
import threading
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.engine.errors import RegistryError
from pipelines.engine.images.registry.hosts import DEFAULT

__all__ = ["Credential", "Credentials", "normal_host"]

_SERVER = f"https://index.{DEFAULT}/v1/"  # what Docker calls its registry in files
_HELPER_SECONDS = 60
_NOT_FOUND = "credentials not found"
_REFUSALS = ("credentials not found in native keychain", _NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and password, or an identity token to be exchanged."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


class Credentials:
    """The credentials of one session; safe for threads."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._given: dict[str, tuple[str, Callable[[], bytes]]] = {}
        self._found: dict[tuple[str, str], Credential | None] = {}
        self._lock = threading.Lock()
        self.changes = 0

    def set(self, address: str, username: str, secret: Callable[[], bytes]) -> None:
        """Use a credential for the rest of the session; `secret` is asked when it is needed."""
        with self._lock:
            self._given[normal_host(address)] = (username, secret)
            self.changes += 1

    def unset(self, address: str) -> None:
        """Forget what the session was given for a registry."""
        with self._lock:
            self._given.pop(normal_host(address), None)
            self.changes += 1

    def find(self, host: str, repository: str = "") -> Credential | None:
        """Give the credential for a registry, and for one of its repositories if it has its own.

        Raises:
            RegistryError: a file or a helper that should know is broken.
        """
        host = normal_host(host)
        with self._lock:
            given = self._given.get(host)
            if given is None:
                name = (host, repository)
                if name not in self._found:
                    self._found[name] = self._search(host, repository)
                return self._found[name]
        username, secret = given
        return Credential(username, secret().decode("utf-8", "surrogateescape").rstrip("\r\n"))

    def _search(self, host: str, repository: str) -> Credential | None:
        for path in _files(self._environ):
            if (document := _document(path)) is not None:
                found = _in_document(document, path, host, repository)
                if found is not None:
                    return found
        return None


def normal_host(address: str) -> str:
    """Give the host that an address names; every spelling of the default one is one."""
    _, _, rest = address.rpartition("://")
    host = rest.partition("/")[0]
    return DEFAULT if host in {"", f"index.{DEFAULT}", f"registry-1.{DEFAULT}"} else host


def _files(environ: Mapping[str, str]) -> list[Path]:
    if chosen := environ.get("REGISTRY_AUTH_FILE"):
        return [Path(chosen)]
    home = Path(environ.get("HOME") or "~").expanduser()
    configured = environ.get("XDG_CONFIG_HOME") or str(home / ".config")
    found = [Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"]
    if running := environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(running, "containers", "auth.json"))
    return [*found, Path(configured, "containers", "auth.json")]


def _document(path: Path) -> Mapping[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise RegistryError(f"reading credentials from {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise RegistryError(
            f"reading credentials from {path}: it is not JSON; mend it or remove it"
        ) from exc
    return document if isinstance(document, dict) else None


def _in_document(
    document: Mapping[str, Any], path: Path, host: str, repository: str
) -> Credential | None:
    helpers = document.get("credHelpers")
    for server in _servers(host):
        if isinstance(helpers, dict) and isinstance(helper := helpers.get(server), str):
            return _ask(helper, server)
    auths = document.get("auths")
    for name, entry in auths.items() if isinstance(auths, dict) else ():
        if _covers(name, host, repository) == len(repository) and isinstance(entry, dict):
            found = _entry(entry, path, host)
            if found is not None:
                return found
    if repository:  # a shorter name, or the host alone
        return _in_document(document, path, host, repository.rpartition("/")[0])
    store = document.get("credsStore")
    return _ask(store, _servers(host)[0]) if isinstance(store, str) and store else None


def _covers(name: str, host: str, repository: str) -> int:
    """Tell how much of a repository's name an entry names: -1 if it is another's."""
    if "://" in name or name.partition("/")[0] == f"index.{DEFAULT}":  # Docker's own spellings
        return 0 if normal_host(name) == host else -1
    first, _, rest = name.partition("/")
    if normal_host(first) != host or (rest not in {"", "v1", "v2"} and rest != repository):
        return -1
    return len(rest) if rest == repository else 0


def _servers(host: str) -> tuple[str, ...]:
    """Spell a host as files and helpers do."""
    return (_SERVER, host) if host == DEFAULT else (host, f"https://{host}")


def _entry(entry: Mapping[str, Any], path: Path, host: str) -> Credential | None:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if packed := entry.get("auth"):
        try:
            text = b64decode(str(packed), validate=True).decode("utf-8", "surrogateescape")
        except (Error, ValueError) as exc:
            raise RegistryError(
                f"reading credentials from {path}: the entry for {host} is not base64; log in again"
            ) from exc
        username, _, password = text.rstrip("\0").partition(":")
    found = Credential(
        username,
        password,
        str(entry.get("identitytoken") or ""),
        str(entry.get("registrytoken") or ""),
    )
    known = found.password or found.identity_token or found.registry_token
    return found if known else None


def _ask(helper: str, server: str) -> Credential | None:
    """Run `docker-credential-<helper> get`."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as exc:
        raise RegistryError(
            f"credentials for {server}: {program} is not installed; install it, or take it out "
            "of Docker's config.json and log in again"
        ) from exc
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RegistryError(f"credentials for {server}: {program} failed: {exc}") from exc
    if done.returncode:
        _check_refusal(program, server, done.stdout + done.stderr)
        return None
    try:
        row = json.loads(done.stdout)
        username, secret = str(row["Username"]), str(row["Secret"])
    except (ValueError, KeyError, TypeError) as exc:
        raise RegistryError(
            f"credentials for {server}: {program} answered something else than a credential"
        ) from exc
    if username == "<token>":
        return Credential(identity_token=secret)
    return Credential(username, secret)


def _check_refusal(program: str, server: str, said: bytes) -> None:
    text = said.decode("utf-8", "replace").strip()
    if not any(text.startswith(known) for known in _REFUSALS):
        raise RegistryError(f"credentials for {server}: {program} failed: {text[:300]}")
