"""The configuration of registries: files and the environment become `Hosts`.

    1. `[registries."<host>"]` of the configuration file: `PIPELINES_CONFIG`, else
       `$XDG_CONFIG_HOME/pipelines/config.toml`:
           mirrors    = ["mirror.example:5000/hub", "http://10.0.0.1:5000"]
           ca         = "/etc/ssl/corporate.pem"    or a list of files
           insecure   = true     TLS that proves nothing, or none at all
           plain-http = true
    2. `PIPELINES_REGISTRY_MIRRORS`: mirrors of the default registry, separated by spaces, or
       `<host>=<mirror>`; `PIPELINES_INSECURE_REGISTRIES`: hosts
    3. podman's and skopeo's registries.conf: `CONTAINERS_REGISTRIES_CONF`, else the user's,
       else the system's. Of it: `location`, `insecure`, `blocked` and mirrors of whole
       registries; prefixes of repositories and short names are left out.
    4. `certs.d/<host>/*.crt` of Docker and of containers: authorities

What stands first wins. Source: containers-registries.conf(5), containers-certs.d(5).
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.engine.errors import RegistryError
from pipelines.engine.images.registry.credentials import normal_host
from pipelines.engine.images.registry.hosts import DEFAULT, HostRules, Hosts

__all__ = ["SYSTEM", "config_file", "hosts"]

SYSTEM = Path("/etc")
_KEYS = frozenset({"mirrors", "ca", "insecure", "plain-http"})


def hosts(environ: Mapping[str, str], system: Path = SYSTEM) -> Hosts:
    """Read every place.

    Raises:
        RegistryError: a file is damaged or says something unknown.
    """
    rules: dict[str, HostRules] = {}
    for host, own in (
        *_own(environ),
        *_environment(environ),
        *_containers(_registries_conf(environ, system)),
    ):
        rules[host] = rules[host].over(own) if host in rules else own
    return Hosts(rules, _certificates(environ, system))


def config_file(environ: Mapping[str, str]) -> Path:
    """Give the place of the configuration file."""
    if chosen := environ.get("PIPELINES_CONFIG"):
        return Path(chosen)
    return _configured(environ) / "pipelines" / "config.toml"


def _configured(environ: Mapping[str, str]) -> Path:
    configured = environ.get("XDG_CONFIG_HOME", "")
    home = Path(environ.get("HOME") or "~").expanduser()
    return Path(configured) if configured.startswith("/") else home / ".config"


def _own(environ: Mapping[str, str]) -> list[tuple[str, HostRules]]:
    path = config_file(environ)
    tables = _toml(path).get("registries") or {}
    if not isinstance(tables, dict):
        raise RegistryError(f'{path}: registries must be tables: [registries."<host>"]')
    found = []
    for host, row in tables.items():
        if not isinstance(row, dict) or set(row) - _KEYS:
            has = ", ".join(sorted(set(row) - _KEYS)) if isinstance(row, dict) else repr(row)
            raise RegistryError(
                f'{path}: [registries."{host}"] has {has}; it knows {", ".join(sorted(_KEYS))}'
            )
        rules = HostRules(
            _texts(path, host, row.get("mirrors", [])),
            row.get("insecure", False) is True,
            row.get("plain-http", False) is True,
            _texts(path, host, row.get("ca", [])),
        )
        found.append((normal_host(host), rules))
    return found


def _texts(path: Path, host: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise RegistryError(f'{path}: [registries."{host}"] has {value!r} where texts are wanted')
    return tuple(values)


def _environment(environ: Mapping[str, str]) -> list[tuple[str, HostRules]]:
    found = []
    for word in environ.get("PIPELINES_REGISTRY_MIRRORS", "").split():
        host, equals, mirror = word.partition("=")
        host, mirror = (host, mirror) if equals else (DEFAULT, word)
        found.append((normal_host(host), HostRules(mirrors=(mirror,))))
    insecure = environ.get("PIPELINES_INSECURE_REGISTRIES", "").split()
    return [*found, *((normal_host(host), HostRules(insecure=True)) for host in insecure)]


def _registries_conf(environ: Mapping[str, str], system: Path) -> dict[str, Any]:
    if chosen := environ.get("CONTAINERS_REGISTRIES_CONF"):
        return _toml(Path(chosen))
    users = _toml(_configured(environ) / "containers" / "registries.conf")
    return users or _toml(system / "containers" / "registries.conf")


def _containers(document: Mapping[str, Any]) -> list[tuple[str, HostRules]]:
    """Take what is said of whole registries; this file is not ours, so nothing is refused."""
    found = []
    rows = document.get("registry")
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict):
            continue
        host = str(row.get("prefix") or row.get("location") or "")
        if not host or "/" in host or "*" in host:
            continue
        location = str(row.get("location") or "")
        mirrors = [each for each in row.get("mirror") or () if isinstance(each, dict)]
        places = tuple(str(each["location"]) for each in mirrors if each.get("location"))
        rules = HostRules(places, row.get("insecure") is True, blocked=row.get("blocked") is True)
        if location and location != host:
            rules = replace(rules, location=location)
        found.append((normal_host(host), rules))
        found += [
            (str(each["location"]).partition("/")[0], HostRules(insecure=True))
            for each in mirrors
            if each.get("insecure") is True and each.get("location")
        ]
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise RegistryError(f"reading {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise RegistryError(f"reading {path}: {exc}") from exc


def _certificates(environ: Mapping[str, str], system: Path) -> Callable[[str], tuple[str, ...]]:
    places = [
        _configured(environ) / "containers" / "certs.d",
        system / "containers" / "certs.d",
        system / "docker" / "certs.d",
    ]

    def find(host: str) -> tuple[str, ...]:
        return tuple(str(path) for place in places for path in sorted(place.glob(f"{host}/*.crt")))

    return find
