"""What git is told around a command: its environment, and one configuration file.

Theory of operation
    Git reads no configuration but a file that is written for one use and lies on a tmpfs of
    the session's own mount namespace, mode 0600: credentials are in no argument, no
    environment, and on no disk. The file holds
        1. what the host's own configuration (system, global, environment) says about reaching
           servers: credentials, proxies, certificates, `insteadOf`, ssh. Nothing else of it:
           no hooks, aliases, filters, templates, line endings;
        2. what keeps repositories from doing things: no hooks, no fsmonitor, no attributes or
           excludes of the user, no background maintenance;
        3. the header of this use's secret, for its own server only.
    The environment is made from a list of names. Host variables that the list lacks (tokens
    of a CI job, say) do not reach git, nor what git starts.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings", "encode", "environment", "lent", "settings", "ssh_command"]

Pairs = list[tuple[str, str]]

_LENT = re.compile(
    r"(http|https|credential|url|ssh)\..*|core\.(sshcommand|gitproxy|askpass)", re.DOTALL
)
_PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_PROXY_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_SSL_NO_VERIFY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "LD_LIBRARY_PATH",
)
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_NETWORK = "http:https:ssh:git"
_OWN: Pairs = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.autocrlf", "false"),
    ("core.symlinks", "true"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("advice.detachedHead", "false"),
    ("fetch.fsckObjects", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.unpackLimit", "1"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("init.defaultBranch", "main"),
    ("init.templateDir", ""),
    ("submodule.recurse", "false"),
    ("protocol.version", "2"),
    # A server that stalls is a fault of transport, which is tried again.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    # Whom a repository of this machine belongs to is the business of whoever named its path.
    ("safe.directory", "*"),
]


@dataclass(frozen=True, slots=True)
class Settings:
    """One use's environment; the configuration file that it names goes with the block."""

    env: Mapping[str, str]


def environment(environ: Mapping[str, str], config: Path, *, local: bool) -> dict[str, str]:
    """Choose what git inherits; `local` lets it read repositories of this machine."""
    names = (*_PASSED, *_PROXIES, *(name.upper() for name in _PROXIES))
    return {
        **{name: environ[name] for name in names if name in environ},
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": f"{_NETWORK}:file" if local else _NETWORK,
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        # A terminal that the session was started from is nobody's to be asked on.
        "SSH_ASKPASS": environ.get("SSH_ASKPASS", "/bin/false"),
        "SSH_ASKPASS_REQUIRE": "force",
    }


def lent(listing: bytes) -> Pairs:
    """Pick what the host lends out of `git config --list --show-scope --null`."""
    found: Pairs = []
    fields = listing.decode("utf-8", "surrogateescape").split("\0")
    for scope, entry in zip(fields[::2], fields[1::2], strict=False):
        name, newline, value = entry.partition("\n")
        if scope in {"system", "global", "command"} and _LENT.fullmatch(name):
            found.append((name, value if newline else "true"))
    return found


def encode(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Write pairs (`section.sub section.key`, value) as a configuration file."""
    lines = []
    for name, value in pairs:
        section, _, rest = name.partition(".")
        middle, dot, key = rest.rpartition(".")
        head = f"[{section} {_quoted(middle)}]" if dot else f"[{section}]"
        lines.append(f"{head}\n\t{key} = {_quoted(value)}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'


def ssh_command(home: str, known_hosts: Path | None, *, root_home: bool) -> str:
    """Spell how ssh is started: never asking, and only hosts that are known.

    In a user namespace we are root to ssh, which would look into root's home: the files of
    `home` are named. The system's ssh_config is not ours to own there, and is left out.
    """
    words = ["ssh", "-o BatchMode=yes", "-o StrictHostKeyChecking=yes"]
    if known_hosts is not None:
        words += [f"-o UserKnownHostsFile={known_hosts}", "-o GlobalKnownHostsFile=/dev/null"]
    elif not root_home:
        words.append(f"-o UserKnownHostsFile={home}/.ssh/known_hosts")
    if not root_home:
        config = f"{home}/.ssh/config"
        words.append(f"-F {config if os.path.exists(config) else '/dev/null'}")
        keys = (f"{home}/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
        words += [f"-o IdentityFile={key}" for key in keys if os.path.exists(key)]
    return " ".join(words)


@contextmanager
def settings(
    memory: Path, environ: Mapping[str, str], pairs: Iterable[tuple[str, str]], *, local: bool
) -> Iterator[Settings]:
    """Write the configuration file for one use; it is gone after."""
    path = memory / f"git-{os.urandom(8).hex()}.config"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode([*pairs, *_OWN]))
        yield Settings(environment(environ, path, local=local))
    finally:
        path.unlink(missing_ok=True)
