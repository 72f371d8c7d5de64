"""Files that hold credentials: they are never saved, and a save says which it left out.

Some names hold nothing else (`.netrc`); others are mostly harmless (`.npmrc` is in many a
package) and are left out if a line in them sets a secret. Only files are looked at: a directory
named `credentials` is an ordinary package. Trees of the engine's layers are results, which
nothing may be missing from; secrets reach commands as mounts and are not in them.
"""

import os
import re

__all__ = ["ALWAYS", "LOOKED_INTO", "holds_secret", "suspicion"]

ALWAYS = frozenset({
    b".netrc", b"_netrc", b".git-credentials", b".pypirc", b".dockercfg", b".dockerconfigjson",
    b".pgpass", b".my.cnf", b".vault-token", b".htpasswd",
    b"id_rsa", b"id_dsa", b"id_ecdsa", b"id_ed25519",
    b"credentials", b"credentials.toml", b"credentials.json", b"credentials.xml",
    b"credentials.yml", b"credentials.yaml", b"credentials.ini", b"credentials.db",
    b"credentials.tfrc.json", b"application_default_credentials.json", b"access_tokens.db",
    b"settings-security.xml",
})  # fmt: skip

LOOKED_INTO = frozenset({
    b".npmrc", b".yarnrc", b".yarnrc.yml", b"pip.conf", b"pip.ini", b".condarc",
    b"gradle.properties", b"settings.xml", b"auth.json", b"nuget.config", b"NuGet.Config",
    b"hosts.yml", b".env", b".boto", b".s3cfg",
})  # fmt: skip

# Files of these names hold credentials only in these directories.
_IN = frozenset({(b".docker", b"config.json"), (b".kube", b"config"), (b".aws", b"config")})

_SECRET = re.compile(
    rb"(?im)^[^#;\n]{0,512}?(?:_auth|_?password|passwd|token|secret|private_?key)\w*[\"']?\s*"
    rb"(?:[=:>]|value=)[ \t]*[\"']?(?!\$\{)[^\s\"'<>]{3,}|://[^/\s:@]+:[^/\s:@$]+@"
)
_LOOK = 256 << 10


def suspicion(path: bytes) -> str:
    """Say of a file by its path: "always" left out, "look" into it, or "" for neither."""
    parent, _, name = path.rpartition(b"/")
    if name in ALWAYS or (parent.rpartition(b"/")[2], name) in _IN:
        return "always"
    return "look" if name in LOOKED_INTO else ""


def holds_secret(directory: int, name: bytes) -> bool:
    """Look into a file; what can not be looked into is taken for one that does."""
    try:
        held = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        try:
            return _SECRET.search(os.read(held, _LOOK)) is not None
        finally:
            os.close(held)
    except OSError:
        return True
