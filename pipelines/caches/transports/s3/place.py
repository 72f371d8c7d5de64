"""Where a bucket is and who we are there: an address and the environment become values.

    s3://bucket/prefix?endpoint=https://host:port&region=…&style=path|virtual&ca=FILE

What the address does not say comes from the variables and files that every S3 client reads:
`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_CA_BUNDLE`,
`AWS_ACCESS_KEY_ID` with its secret and token, else the profile `AWS_PROFILE` of
`AWS_SHARED_CREDENTIALS_FILE`. Credentials never stand in the address. The services that machines
of a cloud ask for theirs are not asked: a pull request's code could, too.
"""

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pipelines.caches.transports.s3.signing import Credentials

__all__ = ["Place", "place"]

_OPTIONS = {"endpoint", "region", "style", "ca"}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket and what stands before the names in it; None of credentials asks anonymously."""

    base: str
    prefix: str
    region: str
    shown: str
    credentials: Credentials | None
    authority: str = ""

    def key(self, name: str) -> str:
        """Give the key of an object."""
        return f"{self.prefix}{name}"

    def url(self, name: str = "", query: str = "") -> str:
        """Spell the URL of an object, or of the bucket."""
        path = quote(self.key(name), safe="/-_.~") if name else ""
        return f"{self.base}/{path}" + (f"?{query}" if query else "")


def place(url: str, environ: Mapping[str, str]) -> Place:
    """Read an address.

    Raises:
        ValueError: it can not be understood.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if unknown := set(options) - _OPTIONS:
        raise ValueError(
            f"cache url {url!r}: {', '.join(sorted(unknown))} is not known; "
            f"{', '.join(sorted(_OPTIONS))} are"
        )
    bucket = parts.netloc
    if _BUCKET.fullmatch(bucket) is None:
        raise ValueError(f"cache url: {bucket.rpartition('@')[2]!r} is no name of a bucket")
    region = options.get("region") or environ.get("AWS_REGION") or ""
    region = region or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    prefix = unquote(parts.path).strip("/")
    return Place(
        _base(url, bucket, options, region, environ),
        f"{prefix}/" if prefix else "",
        region,
        f"s3://{bucket}/{prefix}".rstrip("/"),
        _credentials(environ),
        options.get("ca") or environ.get("AWS_CA_BUNDLE") or "",
    )


def _base(
    url: str, bucket: str, options: Mapping[str, str], region: str, environ: Mapping[str, str]
) -> str:
    endpoint = options.get("endpoint") or environ.get("AWS_ENDPOINT_URL_S3")
    endpoint = (endpoint or environ.get("AWS_ENDPOINT_URL") or "").rstrip("/")
    style = options.get("style") or ("path" if endpoint or "." in bucket else "virtual")
    if style not in {"path", "virtual"}:
        raise ValueError(f"cache url {url!r}: style is path or virtual")
    endpoint = endpoint or f"https://s3.{region}.amazonaws.com"
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"cache url: endpoint {parts.hostname!r} must be http(s)://host[:port]")
    if style == "path":
        return f"{endpoint}/{bucket}"
    return f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}"


def _credentials(environ: Mapping[str, str]) -> Credentials | None:
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, environ.get("AWS_SESSION_TOKEN", ""))
    chosen = environ.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(chosen) if chosen else Path(environ.get("HOME") or "/") / ".aws" / "credentials"
    profile = environ.get("AWS_PROFILE") or "default"
    reader = configparser.RawConfigParser()
    try:
        reader.read_string(path.read_text())
        key = reader.get(profile, "aws_access_key_id")
        secret = reader.get(profile, "aws_secret_access_key")
    except (OSError, ValueError, configparser.Error):
        return None
    return Credentials(key, secret, reader.get(profile, "aws_session_token", fallback=""))
