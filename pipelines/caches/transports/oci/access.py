"""Where a repository is, and who we are there.

    oci://host[:port]/repository?plain=1&ca=FILE

A loopback host speaks plain HTTP, as with Docker; another one only with `plain=1`. Logins are
those of `docker login`: `DOCKER_CONFIG`, else `~/.docker/config.json`, or what
`REGISTRY_AUTH_FILE` names. A program that keeps logins (`credHelpers`, `credsStore`) is not
started from here: `docker login` in CI writes the file.
"""

import ipaddress
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

__all__ = ["Access", "Login", "access", "challenges"]

_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Login:
    """A user's name and password, or a token that stands for both."""

    user: str
    password: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """A repository, how to reach it, and the login there; None asks anonymously."""

    origin: str
    host: str
    repository: str
    login: Login | None
    authority: str = ""

    def url(self, path: str) -> str:
        """Spell the URL of a path below the repository, as `tags/list`."""
        return f"{self.origin}/v2/{self.repository}/{path}"


def access(url: str, environ: Mapping[str, str]) -> Access:
    """Read an address.

    Raises:
        ValueError: it can not be understood.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    repository = parts.path.strip("/")
    if not parts.hostname or "@" in parts.netloc or not _REPOSITORY.fullmatch(repository):
        raise ValueError(
            f"cache url oci://{parts.netloc.rpartition('@')[2]}{parts.path}: write "
            "oci://host/repository, in lower case and without a login (that is `docker login`'s)"
        )
    if unknown := set(options) - {"plain", "ca"}:
        raise ValueError(f"cache url {url!r}: {', '.join(sorted(unknown))}: plain and ca are known")
    plain = options.get("plain", "1" if _is_loopback(parts.hostname) else "0") == "1"
    origin = f"{'http' if plain else 'https'}://{parts.netloc}"
    login = _login(parts.netloc, environ)
    return Access(origin, parts.netloc, repository, login, options.get("ca", ""))


def challenges(header: str) -> Mapping[str, Mapping[str, str]]:
    """Read what a registry asks for, by scheme in lower case."""
    found: dict[str, Mapping[str, str]] = {}
    for part in re.split(r",?\s*(?=\b(?:Basic|Bearer)\s)", header, flags=re.IGNORECASE):
        scheme, _, rest = part.strip().partition(" ")
        pairs = [pair for pair in parse_http_list(rest) if "=" in pair]
        if scheme:
            found[scheme.lower()] = parse_keqv_list(pairs)
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _login(host: str, environ: Mapping[str, str]) -> Login | None:
    home = Path(environ.get("HOME") or "/")
    docker = Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    chosen = environ.get("REGISTRY_AUTH_FILE")
    for path in [*([Path(chosen)] if chosen else []), docker]:
        try:
            rows = json.loads(path.read_bytes())["auths"]
            row = next(row for name, row in rows.items() if _host(name) == host)
            return _read(row)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
            continue
    return None


def _host(name: str) -> str:
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _read(row: Mapping[str, Any]) -> Login:
    if token := row.get("identitytoken"):
        return Login("", "", str(token))
    if "auth" in row:
        user, _, password = b64decode(row["auth"]).decode().partition(":")
        return Login(user, password)
    return Login(str(row["username"]), str(row["password"]))
