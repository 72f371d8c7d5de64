"""Signatures of requests to S3, version 4. Pure.

The signature covers method, path, query, the headers that are signed, and the digest of the body;
its key is derived from the secret for one day, region and service.
Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

__all__ = ["EMPTY", "Credentials", "sign"]

EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs; `token` comes with credentials that expire."""

    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def sign(
    credentials: Credentials,
    region: str,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    digest: str,
    at: float,
) -> dict[str, str]:
    """Give the headers with those of a signature; `digest` is the body's sha256 in hex.

    `url` is signed as it stands: its path and query must be quoted as S3 wants (see `quoted`).
    """
    parts = urlsplit(url)
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed |= {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    lines = [f"{name}:{signed[name]}" for name in sorted(signed)]
    request = [method, parts.path or "/", _query(parts.query), *lines, "", names, digest]
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    hashed = hashlib.sha256("\n".join(request).encode()).hexdigest()
    key = b"AWS4" + credentials.secret.encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashed}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{credentials.key}/{scope}"
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={credential},SignedHeaders={names},Signature={signature}"
    )
    return signed


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    quoted = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(quoted))
