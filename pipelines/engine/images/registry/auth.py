"""Authorization: what a registry asks for, and the tokens that answer it.

Theory of operation
    A request is sent with what is known to please its endpoint. On 401 the challenge is read:
    Basic is answered with the credential; Bearer names a service that gives tokens. A token is
    kept for its scopes until shortly before it expires, and from then on every other request
    to that endpoint asks for its token first: one round trip is saved per repository.
    Anonymous tokens are asked for where there is no credential.

A credential goes to the realm that the registry itself names, over TLS unless the registry
is spoken to without it. Sources: RFC 9110 §11.6.1; distribution docs/spec/auth/token.md and
oauth.md.
"""

import json
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from pipelines.engine.errors import RegistryError
from pipelines.engine.images.registry.credentials import Credential
from pipelines.engine.images.registry.hosts import Endpoint
from pipelines.engine.images.registry.transport import Body, Request, Response

__all__ = ["Authorizer", "Challenge", "challenges", "scope"]

_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z0-9-]+)(?=\s|$)(?!\s*=)")
_LIFETIME, _MARGIN = 60, 10
_OK = 200
_LONGEST = 1 << 20  # bytes of an answer with a token

Send = Callable[[Request], Response]
Scopes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way of authorization that a server accepts; names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    until: float


def scope(name: str, *actions: str) -> str:
    """Name what may be done with a repository."""
    return f"repository:{name}:{','.join(actions)}"


def challenges(header: str) -> list[Challenge]:
    """Read a WWW-Authenticate header, which may hold several challenges."""
    found: list[Challenge] = []
    at = 0
    while named := _SCHEME.match(header, at):
        at = named.end()
        parameters: dict[str, str] = {}
        while pair := _PARAMETER.match(header, at):
            value = pair[2] if pair[2] is not None else pair[3]
            parameters[pair[1].lower()] = re.sub(r"\\(.)", r"\1", value)
            at = pair.end()
        found.append(Challenge(named[1].lower(), parameters))
    return found


class Authorizer:
    """Gives the authorization of requests; one per session, safe for threads."""

    def __init__(
        self,
        send: Send,
        find: Callable[[str, str], Credential | None],
        now: Callable[[], float],
    ) -> None:
        self._send = send
        self._find = find
        self._now = now
        self._known: dict[tuple[str, str], Challenge] = {}
        self._tokens: dict[tuple[str, str, Scopes], _Token] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Start anew: the credentials have changed."""
        with self._lock:
            self._known.clear()
            self._tokens.clear()

    def header(self, endpoint: Endpoint, scopes: Scopes) -> str | None:
        """Give what is known to be wanted; None to ask without."""
        repository = _repository(scopes)
        with self._lock:
            known = self._known.get((endpoint.origin, repository))
            known = known or self._known.get((endpoint.origin, ""))
        return self._answer(endpoint, known, scopes) if known else None

    def challenged(
        self, endpoint: Endpoint, scopes: Scopes, header: str, used: str | None
    ) -> str | None:
        """Answer a 401; `used` is what the refused request had. None if nothing can be done.

        Raises:
            RegistryError: no token is to be had.
        """
        offered = {each.scheme: each for each in challenges(header)}
        chosen = offered.get("bearer") or offered.get("basic")
        if chosen is None:
            return None
        key = (endpoint.host, endpoint.origin, scopes)
        with self._lock:
            self._known[endpoint.origin, _repository(scopes)] = chosen
            self._known.setdefault((endpoint.origin, ""), chosen)
            token = self._tokens.get(key)
            if token is not None and used == f"Bearer {token.value}":
                del self._tokens[key]
        answer = self._answer(endpoint, chosen, scopes)
        return answer if answer != used else None

    def _answer(self, endpoint: Endpoint, known: Challenge, scopes: Scopes) -> str | None:
        credential = self._find(endpoint.host, _repository(scopes))
        if known.scheme == "basic":
            return _basic(credential) if credential else None
        if credential is not None and credential.registry_token:
            return f"Bearer {credential.registry_token}"
        # One at a time: ten layers of one image need one token.
        with self._lock:
            key = (endpoint.host, endpoint.origin, scopes)
            token = self._tokens.get(key)
            if token is None or token.until <= self._now():
                token = self._fetch(endpoint, known, scopes, credential)
                self._tokens[key] = token
        return f"Bearer {token.value}"

    def _fetch(
        self, endpoint: Endpoint, known: Challenge, scopes: Scopes, credential: Credential | None
    ) -> _Token:
        realm = known.parameters.get("realm", "")
        wanted = scopes or tuple(known.parameters.get("scope", "").split())
        _check_realm(endpoint, realm, credential)
        if credential is not None and credential.identity_token:
            request = _exchange(endpoint, realm, known, wanted, credential)
        else:
            request = _ask(endpoint, realm, known, wanted, credential)
        with self._send(request) as response:
            text = _read(response)
            if response.status != _OK:
                raise RegistryError(_refusal(endpoint, realm, response.status, text, credential))
        return self._token(endpoint, realm, text)

    def _token(self, endpoint: Endpoint, realm: str, text: bytes) -> _Token:
        try:
            row: dict[str, Any] = json.loads(text)
            value = row.get("token") or row["access_token"]
            lifetime = max(int(row.get("expires_in") or _LIFETIME), _LIFETIME)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise RegistryError(
                f"registry {endpoint.host}: {_place(realm)} answered something else than a token"
            ) from exc
        return _Token(str(value), self._now() + lifetime - _MARGIN)


def _read(response: Response) -> bytes:
    text = b""
    while len(text) < _LONGEST and (piece := response.read(_LONGEST - len(text))):
        text += piece
    return text


def _repository(scopes: Scopes) -> str:
    """Give the repository that the first scope names."""
    return scopes[0].split(":")[1] if scopes and scopes[0].count(":") > 1 else ""


def _basic(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.password}".encode("utf-8", "surrogateescape")
    return "Basic " + b64encode(pair).decode()


def _ask(
    endpoint: Endpoint,
    realm: str,
    known: Challenge,
    scopes: Scopes,
    credential: Credential | None,
) -> Request:
    pairs = [("scope", each) for each in scopes]
    if service := known.parameters.get("service"):
        pairs.insert(0, ("service", service))
    if credential is not None:
        pairs.insert(0, ("account", credential.username))
    mark = "&" if "?" in realm else "?"
    headers = {"authorization": _basic(credential)} if credential is not None else {}
    return Request("GET", realm + mark + urlencode(pairs), headers, trust=endpoint.trust)


def _exchange(
    endpoint: Endpoint, realm: str, known: Challenge, scopes: Scopes, credential: Credential
) -> Request:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": credential.identity_token,
        "service": known.parameters.get("service", ""),
        "client_id": "pipelines",
        "scope": " ".join(scopes),
    }
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return Request("POST", realm, headers, Body.of(urlencode(form).encode()), endpoint.trust)


def _check_realm(endpoint: Endpoint, realm: str, credential: Credential | None) -> None:
    parts = urlsplit(realm)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RegistryError(
            f"registry {endpoint.host}: asks for a token of {realm[:200]!r}, which is no address"
        )
    if credential is not None and endpoint.scheme == "https" and parts.scheme == "http":
        raise RegistryError(
            f"registry {endpoint.host}: asks for the password to be sent to {_place(realm)} "
            "without TLS; it is not sent. Tell the registry's owner, or log out to go on without"
        )


def _place(realm: str) -> str:
    parts = urlsplit(realm)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _refusal(
    endpoint: Endpoint, realm: str, status: int, text: bytes, credential: Credential | None
) -> str:
    said = " ".join(text[:300].decode("utf-8", "replace").split())
    if credential is None:
        who = "anonymously; log in with `docker login` or withRegistryAuth"
    elif credential.identity_token:
        who = "with the identity token that is configured; log in again"
    else:
        who = f"as {credential.username!r}; check the user and password, or log in again"
    what = f"registry {endpoint.host}: no token from {_place(realm)} (status {status}), asked {who}"
    return f"{what}. It said: {said}" if said else what
