"""What of the host's network settings every command sees: certificates, proxies, indexes.

None of it ever enters a key or an image: the caller adds these variables to an exec that does
not set them itself, and binds the bundle over `INSIDE`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["INSIDE", "ca_environment", "find_bundle", "host_environment", "merge", "merge_into"]

INSIDE = "/dev/.pipelines-ca.crt"

_CA_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL, Go, Ruby, Python's ssl, rustls-native-certs
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
)

# Where distributions keep the bundle: Debian and Alpine, Fedora, openSUSE, older Red Hat,
# Alpine's compatibility path, FreeBSD-style installations (Go's crypto/x509 looks there too).
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_GO = ("GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE")
_INDEXES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_NO_INDEX",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
    "YARN_NPM_REGISTRY_SERVER",
)

_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.*?-----END (?:TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)


def host_environment(environ: Mapping[str, str], home: str) -> dict[str, str]:
    """Pick the variables that commands receive when they do not set them themselves.

    Proxies in the spelling (lower, upper) that the host uses; Go's module settings from the
    environment or else from the file that `go env -w` writes; package indexes of pip and npm.
    """
    names = [*_PROXIES, *(name.upper() for name in _PROXIES), *_INDEXES]
    found = _picked(environ, names)
    return found | _picked(_go_file(environ, home), _GO) | _picked(environ, _GO)


def ca_environment(path: str = INSIDE) -> dict[str, str]:
    """Point every known tool at the bundle at a path inside."""
    return dict.fromkeys(_CA_VARIABLES, path)


def find_bundle(environ: Mapping[str, str], root: str = "/") -> Path | None:
    """Find the host's certificates: `$SSL_CERT_FILE`, or else the usual places below `root`."""
    named = environ.get("SSL_CERT_FILE")
    if named and os.access(named, os.R_OK) and Path(named).is_file():
        return Path(named)
    for bundle in _BUNDLES:
        path = Path(root, bundle.lstrip("/"))
        if path.is_file() and os.access(path, os.R_OK):
            return path
    return None


def merge(bundles: Iterable[bytes]) -> bytes:
    """Join bundles, first ones first, each certificate once, without comments."""
    certificates: dict[bytes, None] = {}
    for bundle in bundles:
        for match in _CERTIFICATE.finditer(bundle):
            certificates.setdefault(match.group().replace(b"\r\n", b"\n"))
    return b"".join(certificate + b"\n" for certificate in certificates)


def merge_into(target: Path, bundles: Iterable[bytes]) -> None:
    """Write the merged bundle to a new file, readable by every user, in one step."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        scratch.write_bytes(merge(bundles))
        scratch.chmod(0o644)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def _picked(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: environ[name] for name in names if environ.get(name)}


def _go_file(environ: Mapping[str, str], home: str) -> dict[str, str]:
    """Read Go's own environment file; `GOENV=off` says that there is none."""
    configuration = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    path = environ.get("GOENV") or f"{configuration}/go/env"
    if path == "off":
        return {}
    try:
        text = Path(path).read_text("utf-8", "replace")
    except OSError:
        return {}
    pairs = (line.strip().partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs if name and not name.startswith("#")}
