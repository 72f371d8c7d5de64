"""Downloads, decided: what to ask of a web server, and what its answer means. No I/O.

An Authorization header goes to the origin (scheme, host and port) that it was given for and
to no other, so a redirect to somewhere else goes without it (RFC 9110, 15.4; the rule that
browsers and curl follow). The query of an address may carry a signature: messages leave it
out.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from pipelines.engine.errors import QueryError, SourceError, SourceMismatch, SourceUnreachable

__all__ = [
    "REDIRECTS",
    "Checksum",
    "Validators",
    "ask",
    "default_name",
    "explain",
    "lockable",
    "next_hop",
    "origin",
    "resumes",
    "shown",
    "split",
    "through",
]

REDIRECTS = 10
_MOVED = frozenset({301, 302, 303, 307, 308})
_FINAL = frozenset({400, 401, 403, 404, 405, 406, 407, 410, 416})
_SIZES = {"sha256": 64, "sha384": 96, "sha512": 128}
_RANGE = r"bytes (\d+)-\d+/(\d+|\*)"


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest that a body must have: its algorithm and lower-case hex."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> "Checksum":
        """Read `sha256:…`.

        Raises:
            QueryError: not a digest, or of an algorithm that is not known.
        """
        algorithm, _, digits = text.partition(":")
        if len(digits) != _SIZES.get(algorithm) or re.fullmatch(r"[0-9a-f]+", digits) is None:
            raise QueryError(
                f"http: checksum {text!r} is not a digest; write sha256: (or sha384:, sha512:) and "
                "the digits in lower case, as sha256sum prints them"
            )
        return cls(algorithm, digits)

    def check(self, digest: str, url: str) -> None:
        """Compare with what was received.

        Raises:
            SourceMismatch: it is something else.
        """
        if digest != self.hex:
            raise SourceMismatch(
                f"http: {shown(url)} gave {self.algorithm}:{digest}, expected "
                f"{self.algorithm}:{self.hex}; if the file was meant to change, put the new digest "
                "into the pipeline"
            )


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said that tells one version of a body from another."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Validators":
        """Read them from an answer."""
        return cls(headers.get("etag", ""), headers.get("last-modified", ""))

    @property
    def strong(self) -> str:
        """What names these very bytes, for `If-Range`; "" if nothing does."""
        return "" if self.etag.startswith("W/") else self.etag


def ask(known: Validators | None, authorization: str, offset: int = 0) -> dict[str, str]:
    """Make a request's headers: conditional on what is known, or for the rest of a body."""
    headers = {"accept": "*/*", "user-agent": "pipelines"}
    if authorization:
        headers["authorization"] = authorization
    if known is None:
        return headers
    if offset:
        return headers | {"range": f"bytes={offset}-", "if-range": known.strong}
    if known.etag:
        headers["if-none-match"] = known.etag
    if known.modified:
        headers["if-modified-since"] = known.modified
    return headers


def through(via: str, url: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Send a request for `url` to a service that listens at `via`, if that is not ""."""
    if not via:
        return url, headers
    parts = urlsplit(url)
    at = urlunsplit(("http", via, parts.path or "/", parts.query, ""))
    return at, headers | {"host": parts.netloc}


def resumes(status: int, headers: Mapping[str, str], offset: int) -> bool:
    """Tell whether an answer goes on where the last one broke off."""
    found = re.fullmatch(_RANGE, headers.get("content-range", ""))
    return status == 206 and found is not None and int(found[1]) == offset  # noqa: PLR2004


def next_hop(url: str, status: int, headers: Mapping[str, str]) -> str | None:
    """Give where an answer sends us; None if it is no redirect.

    Raises:
        SourceError: to something that is not the web.
    """
    if status not in _MOVED or not headers.get("location"):
        return None
    target = urldefrag(urljoin(url, headers["location"])).url
    parts = urlsplit(target)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SourceError(f"http: {shown(url)} redirects to {parts.scheme}:, which is not the web")
    return target


def origin(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port."""
    parts = urlsplit(url)
    usual = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or usual


def split(url: str) -> tuple[str, str]:
    """Take credentials out of an address: the address, and `user:password` or "".

    Raises:
        QueryError: not an address of the web.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1)
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or re.search(r"[\x00-\x20\x7f]", url):
        raise QueryError(
            f"http({shown(url)!r}): not an address of the web; write https://host/path"
        )
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    clean = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return clean, f"{unquote(user)}:{unquote(password)}" if userinfo else ""


def shown(url: str) -> str:
    """Spell an address for people: without credentials, query and fragment."""
    head = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"//[^/@]*@", "//", head)


def lockable(url: str) -> str:
    """Name an address in a lock file, which is shared: a query, maybe a signature, by its hash."""
    head, mark, query = url.partition("?")
    return f"{head}?sha256={hashlib.sha256(query.encode()).hexdigest()[:16]}" if mark else head


def default_name(url: str) -> str:
    """Name the file: the last part of the path, "index" if there is none."""
    name = urlsplit(url).path.rpartition("/")[2]
    return (
        unquote(name)
        if unquote(name) not in {"", ".", ".."} and "/" not in unquote(name)
        else ("index")
    )


def explain(url: str, status: int, *, authorized: bool) -> SourceError:
    """Say what a refusal means and what to do."""
    if status in {401, 403}:
        way = (
            "the server does not accept this authHeader: check its value (`Bearer …`, `Basic …`)"
            if authorized
            else "give its credentials as authHeader"
        )
    elif status in {404, 410}:
        way = "check the address; servers also say this of what needs credentials"
    else:
        way = "try again later, or ask the server's owner"
    text = f"http: {shown(url)} answered {status}; {way}"
    return SourceError(text) if status in _FINAL else SourceUnreachable(text)
